/** `effect-audit verify`: recomputes a store, or an export. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Ledger from "../ledger/Ledger.ts"
import type { Vkeys } from "../ledger/SigningKey.ts"
import * as Tiles from "../ledger/Tiles.ts"
import { DoesNotHold, UsageError } from "./exit.ts"
import { progress } from "./progress.ts"
import { dbFlag, envFlag, failing, print, readText, readVkeys, tenantFlag, verifiable, vkeyFlag } from "./store.ts"
import { printable } from "./table.ts"

const faultLine = (finding: Extract<Ledger.Finding, { readonly _tag: "Fault" }>): string => {
  const { detail, eventId, fault, log, position } = finding
  const where = position === undefined ? "" : ` at position ${position}`
  const event = eventId === undefined ? "" : ` (event ${eventId})`
  return `${log.tenantId} ${log.env}: ${fault}${where}${event}: ${printable(detail)}\n`
}

const logLine = (finding: Extract<Ledger.Finding, { readonly _tag: "Verified" }>): string => {
  const { checkpoints, covered, erased, faults, log, origin, signaturesChecked, size } = finding
  const open = size - covered
  const parts = [
    `${size} entries`,
    open === 0 ? "all covered by a checkpoint" : `${covered} covered by a checkpoint, ${open} not yet covered`,
    ...(erased === 0 ? [] : [`${erased} erased`]),
    `${checkpoints} checkpoints`,
    signaturesChecked ? "signatures checked" : "signatures not checked: no --vkey"
  ]
  const verdict = faults === 0 ? "holds" : `does not hold: ${faults} faults`
  return `${log.tenantId} ${log.env} (${printable(origin)}): ${verdict}; ${parts.join(", ")}\n`
}

const verifyStore = Effect.fnUntraced(function*(options: Ledger.VerifyOptions) {
  const state = { entries: 0, total: 0, rate: 0, faults: 0, logs: 0 }
  const meter = yield* progress(() =>
    `${state.entries} of ${state.total} rows, ${state.rate} rows/s, ${state.faults} faults`
  )
  yield* Stream.runForEach(Ledger.verify(options), (finding) => {
    switch (finding._tag) {
      case "Progress":
        state.entries = finding.entries
        state.total = finding.total
        state.rate = finding.entriesPerSecond
        return Effect.void
      case "Fault":
        state.faults++
        return print(faultLine(finding))
      case "Verified":
        state.logs++
        return print(logLine(finding))
    }
  })
  yield* meter.stop
  if (state.logs === 0) yield* print("no logs\n")
  return state.faults
})

const verifyTiles = Effect.fnUntraced(function*(directory: string, vkeys: Vkeys) {
  const { checkpoint, faults } = yield* Tiles.verify(directory, vkeys)
  for (const { detail, file } of faults) yield* print(`${printable(file)}: ${printable(detail)}\n`)
  if (checkpoint !== undefined) {
    const verdict = faults.length === 0 ? "holds" : `does not hold: ${faults.length} faults`
    yield* print(`${printable(checkpoint.origin)}: ${verdict}; ${checkpoint.size} entries\n`)
  }
  return faults.length
})

export const verify = Command.make(
  "verify",
  {
    db: dbFlag.pipe(Flag.optional),
    tenant: tenantFlag.pipe(Flag.optional),
    env: envFlag.pipe(Flag.optional),
    vkey: vkeyFlag.pipe(Flag.optional),
    old: Flag.String("old").pipe(
      Flag.optional,
      Flag.withDescription("A file with a checkpoint that was kept: its log must extend it")
    ),
    tiles: Flag.String("tiles").pipe(
      Flag.optional,
      Flag.withDescription("Check a folder that tiles wrote, instead of a store")
    )
  },
  Effect.fnUntraced(function*({ db, env, old, tenant, tiles, vkey }) {
    const keys = Option.isNone(vkey) ? undefined : yield* readVkeys(vkey.value)
    if (Option.isSome(db) === Option.isSome(tiles)) {
      return yield* new UsageError({ message: "give either --db or --tiles" })
    }
    if (Option.isSome(tenant) !== Option.isSome(env)) {
      return yield* new UsageError({ message: "give both --tenant and --env, or neither" })
    }
    let faults = 0
    if (Option.isSome(tiles)) {
      if (keys === undefined) return yield* new UsageError({ message: "--tiles needs --vkey" })
      faults = yield* verifyTiles(tiles.value, keys)
    } else if (Option.isSome(db)) {
      const log = Option.isSome(tenant) && Option.isSome(env)
        ? { tenantId: tenant.value, env: env.value }
        : undefined
      const known = Option.isNone(old) ? undefined : yield* readText(old.value)
      faults = yield* verifyStore({ log, vkey: keys, known }).pipe(
        Effect.provide(verifiable(db.value)),
        Effect.catchTag("AuditError", (error) => failing(Effect.fail(error)))
      )
    }
    if (faults > 0) return yield* new DoesNotHold({ message: `does not hold: ${faults} faults` })
  })
).pipe(
  Command.withDescription(
    "Recompute every commitment, leaf, tree and signed head of a store, and name each fault. Entries above the " +
      "newest " +
      "checkpoint are reported as not yet covered. Without --vkey no signature is checked. " +
      "Exit 0: it holds, 1: it does not, 2: could not be checked."
  ),
  Command.withExamples([
    { command: "effect-audit verify --db audit.db --vkey @audit.vkey", description: "Check every log of a store" },
    {
      command: "effect-audit verify --db audit.db --tenant t_acme --env prod --vkey @audit.vkey --old checkpoint",
      description: "Check one log, against a checkpoint that was kept"
    }
  ])
)
