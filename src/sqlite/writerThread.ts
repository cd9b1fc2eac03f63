/** The thread that commits the events of a sink, on a connection of its own: no other thread waits for the disk. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { encodeReply, type Reply } from "../internal/committed.ts"
import { systemEntropy } from "../internal/entropy.ts"
import { FileWatch, isOpenHere } from "../internal/files.ts"
import { unpack } from "../internal/sealedRow.ts"
import { serve, type Work } from "../internal/thread.ts"
import { Commits } from "./commit.ts"
import { openBeside } from "./connection.ts"
import { EventTable, type Writing } from "./eventTable.ts"
import type { Ask, Start } from "./messages.ts"

const begin = ({ deadlineMillis, deployment, filename, identity }: Start): Work<Ask, Reply> => {
  // Looked at before it is opened: a file that is gone would be made anew.
  if (!isOpenHere(filename, identity)) throw new Error(`${filename} was removed or replaced while it was open`)
  const writer = openBeside(filename, deadlineMillis)
  // Here the disk and the locks of others may be waited for; sent back, a batch would be packed anew for each try.
  writer.exec("PRAGMA busy_timeout = 100")
  const watch = new FileWatch(filename, identity, Effect.runSync(Clock.Clock))
  const table = new EventTable(writer, systemEntropy())
  const commits = new Commits({ writer, table, gone: (withinMillis) => watch.gone(withinMillis) })
  return {
    reply: ({ heads, millis, rows }) => {
      const writing: Writing = {
        millis,
        durability: "committed",
        deployment,
        signedHead: (origin) => heads?.get(origin)
      }
      const reply = encodeReply(commits.commit(unpack(rows), writing, heads))
      return { reply, transfer: [] }
    },
    close: () => writer.close()
  }
}

serve(begin)
