/** `effect-audit verify`: recomputes a store, or an export. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { stateOf } from "../config/AuditConfig.ts"
import * as Ledger from "../ledger/Ledger.ts"
import type { Vkeys } from "../ledger/SigningKey.ts"
import * as Tiles from "../ledger/Tiles.ts"
import { DoesNotHold, UsageError } from "./exit.ts"
import { readState } from "./medium.ts"
import { opened, type StoreArgs, storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { envFlag, failing, print, readText, readVkeys, tenantFlag, verifiable, vkeyFlag } from "./store.ts"
import { printable } from "./table.ts"

const faultLine = (finding: Extract<Ledger.Finding, { readonly _tag: "Fault" }>): string => {
  const { detail, eventId, fault, log, position } = finding
  const where = position === undefined ? "" : ` at position ${position}`
  const event = eventId === undefined ? "" : ` (event ${eventId})`
  return `${log === undefined ? "the store" : `${log.tenantId} ${log.env}`}: ${fault}${where}${event}: ${
    printable(detail)
  }\n`
}

/** What was found to hold by heads that lie elsewhere: those in the store can be taken back with its events. */
const anchoredTo = (anchors: ReadonlyArray<Ledger.Anchor>, holds: boolean): string => {
  const outside = [
    ...(anchors.includes("given") ? ["the given checkpoint"] : []),
    ...(anchors.includes("signer") ? ["the signer's state"] : [])
  ]
  return outside.length > 0
    ? `anchored to ${outside.join(" and ")}`
    : `anchored to nothing outside of the store${holds ? ": give --old or --state" : ""}`
}

const counted = (faults: number): string => `${faults} ${faults === 1 ? "fault" : "faults"}`

type Verified = Extract<Ledger.Finding, { readonly _tag: "Verified" }>

const logLine = (finding: Verified, withKey: boolean): string => {
  const { anchors, checkpoints, covered, erased, faults, log, origin, signaturesChecked, size, stopped } = finding
  const open = size - covered
  const parts = [
    `${size} entries`,
    open === 0 ? "all covered by a checkpoint" : `${covered} covered by a checkpoint, ${open} not yet covered`,
    ...(erased === 0 ? [] : [`${erased} erased`]),
    `${checkpoints} checkpoints`,
    signaturesChecked
      ? "signatures checked"
      : withKey
      ? "signatures not checked: there is no checkpoint"
      : "signatures not checked: no --vkey",
    anchoredTo(anchors, faults === 0),
    ...(stopped === undefined ? [] : [`stopped: ${printable(stopped)}`])
  ]
  const verdict = faults === 0 ? "holds" : `does not hold: ${counted(faults)}`
  return `${log.tenantId} ${log.env} (${printable(origin)}): ${verdict}; ${parts.join(", ")}\n`
}

const verifyStore = Effect.fnUntraced(function*(options: Ledger.VerifyOptions, json: boolean) {
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
        return print(json ? `${JSON.stringify(finding)}\n` : faultLine(finding))
      case "Verified":
        state.logs++
        return print(json ? `${JSON.stringify(finding)}\n` : logLine(finding, options.vkey !== undefined))
    }
  })
  yield* meter.stop
  if (state.logs === 0 && !json) yield* print("no logs\n")
  return state.faults
})

const verifyTiles = Effect.fnUntraced(function*(directory: string, vkeys: Vkeys, known: string | undefined) {
  const { checkpoint, faults } = yield* Tiles.verify(directory, vkeys, known)
  for (const { detail, file } of faults) yield* print(`${printable(file)}: ${printable(detail)}\n`)
  if (checkpoint !== undefined) {
    const verdict = faults.length === 0 ? "holds" : `does not hold: ${counted(faults.length)}`
    yield* print(`${printable(checkpoint.origin)}: ${verdict}; ${checkpoint.size} entries\n`)
  }
  return faults.length
})

/** What the signer signed: by the state that is named, else by that of the configuration. */
const signedHeads = Effect.fnUntraced(function*(store: StoreArgs, state: Option.Option<string>) {
  const { config } = yield* opened(store)
  const { signer } = config.options
  const known = signer === undefined ? undefined : stateOf(signer)
  const path = Option.getOrElse(state, () => known?.state)
  // A new signer has signed nothing yet.
  if (path === undefined || (Option.isNone(state) && known?.newSigner === true && !existsSync(path))) return undefined
  return yield* failing(readState(path))
})

export const verify = Command.make(
  "verify",
  {
    ...storeFlags,
    tenant: tenantFlag.pipe(Flag.optional),
    env: envFlag.pipe(Flag.optional),
    vkey: vkeyFlag.pipe(Flag.optional),
    old: Flag.String("old").pipe(
      Flag.optional,
      Flag.withDescription("A file with a checkpoint that was kept: its log must extend it")
    ),
    state: Flag.String("state").pipe(
      Flag.optional,
      Flag.withDescription("The signer's state: what it signed must be there, also of logs that are gone")
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Print each finding as a line of JSON")
    ),
    tiles: Flag.String("tiles").pipe(
      Flag.optional,
      Flag.withDescription("Check a folder that tiles wrote, instead of a store")
    )
  },
  Effect.fnUntraced(function*({ config, db, env, json, old, state, tenant, tiles, vkey }) {
    const keys = Option.isNone(vkey) ? undefined : yield* readVkeys(vkey.value)
    if ((Option.isSome(db) || Option.isSome(config)) === Option.isSome(tiles)) {
      return yield* new UsageError({ message: "give either --db or --tiles" })
    }
    if (Option.isSome(tenant) !== Option.isSome(env)) {
      return yield* new UsageError({ message: "give both --tenant and --env, or neither" })
    }
    const known = Option.isNone(old) ? undefined : yield* readText(old.value)
    let faults = 0
    if (Option.isSome(tiles)) {
      if (keys === undefined) return yield* new UsageError({ message: "--tiles needs --vkey" })
      if (Option.isSome(tenant) || Option.isSome(state) || json) {
        return yield* new UsageError({ message: "--tenant, --env, --state and --json are not for --tiles" })
      }
      faults = yield* verifyTiles(tiles.value, keys, known)
    } else {
      const log = Option.isSome(tenant) && Option.isSome(env)
        ? { tenantId: tenant.value, env: env.value }
        : undefined
      const signed = yield* signedHeads({ config, db }, state)
      faults = yield* verifyStore({ log, vkey: keys, known, signed }, json).pipe(
        Effect.provide(verifiable({ config, db })),
        Effect.catchTag("AuditError", (error) => failing(Effect.fail(error)))
      )
    }
    if (faults > 0) return yield* new DoesNotHold({ message: `does not hold: ${counted(faults)}` })
  })
).pipe(
  Command.withDescription(
    "Recompute every commitment, leaf, tree and signed head of a store, and name each fault. Entries above the " +
      "newest " +
      "checkpoint are reported as not yet covered. Without --vkey no signature is checked; without --old or --state " +
      "nothing is compared with what lies outside of the store. " +
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
