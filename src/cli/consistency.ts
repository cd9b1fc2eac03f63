/** `effect-audit consistency`: whether a log extends a checkpoint that someone kept. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { IntegrityError } from "../AuditError.ts"
import type { Checkpoint } from "../ledger/Checkpoint.ts"
import { ownUntil } from "../ledger/extends.ts"
import * as Ledger from "../ledger/Ledger.ts"
import { openCheckpoint, type Vkeys } from "../ledger/SigningKey.ts"
import { verifyConsistency } from "../Merkle.ts"
import { DoesNotHold } from "./exit.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, judged, print, readText, readVkeys, tenantFlag, verifiable, vkeyFlag } from "./store.ts"

const opened = (note: string, vkeys: Vkeys, what: string): Effect.Effect<Checkpoint, DoesNotHold> =>
  Effect.mapError(
    Effect.fromResult(openCheckpoint(note, vkeys)),
    (why) => new DoesNotHold({ message: `${what} cannot be trusted: ${why}` })
  )

export const consistency = Command.make(
  "consistency",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    old: Flag.String("old").pipe(Flag.withDescription("A file with a checkpoint of the log that was kept")),
    vkey: vkeyFlag
  },
  Effect.fnUntraced(function*({ config, db, env, old, tenant, vkey }) {
    const key = yield* readVkeys(vkey)
    const before = yield* opened(yield* readText(old), key, old)
    const stranger = (now: Checkpoint) =>
      new DoesNotHold({ message: `${old} is of another log: ${before.origin}, not ${now.origin}` })
    const { origins, proof, signed } = yield* judged(
      Effect.provide(
        Effect.flatMap(Ledger.Ledger, (ledger) => {
          const from = (oldSize: number) => ledger.consistency({ tenantId: tenant, env, oldSize })
          // Another log may be larger than this one, which says nothing of this one.
          const whether = (error: IntegrityError) =>
            Effect.matchEffect(from(0), {
              onFailure: () => Effect.fail(error),
              onSuccess: ({ origins, signed }) =>
                Effect.fail(ownUntil(origins, before.origin) === undefined ? stranger(signed.checkpoint) : error)
            })
          return Effect.catchTag(from(before.size), "IntegrityError", whether)
        }),
        verifiable({ config, db })
      )
    )
    const now = yield* opened(signed.note, key, "the log's newest checkpoint")
    const until = ownUntil(origins, before.origin)
    if (until === undefined) return yield* stranger(now)
    if (before.size > until) {
      const message = `the log went on as ${now.origin} at size ${until}, and ${old} has ${before.size}`
      return yield* new DoesNotHold({ message })
    }
    const holds = verifyConsistency({
      oldSize: before.size,
      size: now.size,
      oldRoot: before.root,
      root: now.root,
      proof
    })
    if (!holds) {
      return yield* new DoesNotHold({
        message: `the log at size ${now.size} does not extend the checkpoint of size ${before.size} in ${old}`
      })
    }
    const hashes = proof.map((hash) => `${Buffer.from(hash).toString("base64")}\n`).join("")
    yield* print(`old ${before.size}\n${hashes}\n${signed.note}`)
    yield* Console.error(`holds: size ${now.size} extends size ${before.size} of ${now.origin}`)
  })
).pipe(
  Command.withDescription(
    "Show that the newest checkpoint of a log extends one that was kept, and print the proof with the newer " +
      "checkpoint, as " +
      "C2SP tlog-witness asks for it. Exit 0: it holds, 1: it does not, 2: could not be checked."
  ),
  Command.withExamples([{
    command: "effect-audit consistency --db audit.db --tenant t_acme --env prod --old checkpoint --vkey @audit.vkey",
    description: "Nothing before the kept checkpoint was changed"
  }])
)
