/** `effect-audit prove` and `verify-proof`: a file that shows, without the store, that an event is in a log. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { EventId } from "../DatasetEvent.ts"
import * as Ledger from "../ledger/Ledger.ts"
import * as Proof from "../ledger/Proof.ts"
import { DoesNotHold } from "./exit.ts"
import { storeFlags } from "./opened.ts"
import {
  envFlag,
  judged,
  print,
  readText,
  readVkeys,
  signing,
  signingFlags,
  tenantFlag,
  verifiable,
  vkeyFlag
} from "./store.ts"

export const prove = Command.make(
  "prove",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    eventId: Flag.String("event-id").pipe(Flag.withSchema(EventId), Flag.withDescription("The event to prove")),
    out: Flag.String("out").pipe(Flag.withDescription("The file to write")),
    ...signingFlags
  },
  Effect.fnUntraced(function*({ config, db, env, eventId, out, tenant, ...key }) {
    // Without a key that is asked for nothing is signed, and the store is opened for reading only.
    const ledger = Option.isNone(key.keyFile) ? verifiable({ config, db }) : signing({ config, db }, key)
    const proof = yield* judged(Effect.provide(Ledger.prove({ tenantId: tenant, env, eventId }), ledger))
    const fileSystem = yield* FileSystem.FileSystem
    yield* fileSystem.writeFileString(out, Proof.encode(proof))
    const inclusion = Proof.parseInclusion(proof.proof)
    const position = inclusion._tag === "Failure" ? "" : ` at position ${inclusion.success.index}`
    yield* Console.error(`${"erased" in proof ? "erased event" : "event"} ${eventId}${position}: ${out}`)
  })
).pipe(
  Command.withDescription(
    "Write a proof file for an event: checked with verify-proof, without the store. With --key-file an event above " +
      "the newest " +
      "checkpoint gets one signed. Exit 0: written, 1: the store's evidence does not hold, 2: could not be done."
  ),
  Command.withExamples([{
    command:
      "effect-audit prove --db audit.db --tenant t_acme --env prod --event-id ID --out proof.json --key-file audit.key",
    description: "Prove an event"
  }])
)

export const verifyProof = Command.make(
  "verify-proof",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A proof file, as prove wrote it")),
    vkey: vkeyFlag
  },
  Effect.fnUntraced(function*({ file, vkey }) {
    const verified = Proof.verify(yield* readText(file), yield* readVkeys(vkey))
    if (verified._tag === "Failure") return yield* new DoesNotHold({ message: verified.failure.message })
    const proven = verified.success
    const { origin, size } = proven.checkpoint
    yield* print(proven.erased ? `erased: the entry at position ${proven.position}\n` : `${proven.event}\n`)
    yield* Console.error(`holds: position ${proven.position} of ${origin}, under the checkpoint of size ${size}`)
  })
).pipe(
  Command.withDescription(
    "Check a proof file with a verifier key, without the store, and print the event, or that it is erased. " +
      "Exit 0: it holds, 1: it does not, 2: could not be checked."
  ),
  Command.withExamples([{
    command: "effect-audit verify-proof proof.json --vkey @audit.vkey",
    description: "Check what prove wrote"
  }])
)
