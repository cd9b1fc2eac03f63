/** `effect-audit tiles`: exports a log as static files. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ledger from "../ledger/Ledger.ts"
import { vkeyOf } from "../ledger/SigningKey.ts"
import * as Tiles from "../ledger/Tiles.ts"
import type { LogName } from "../RequestContext.ts"
import { storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { envFlag, judged, print, readVkeys, signing, signingFlags, tenantFlag, vkeyFlag } from "./store.ts"

const run = Effect.fnUntraced(function*(log: LogName, out: string, older: ReadonlyArray<string>) {
  const source = yield* judged(Effect.flatMap(Ledger.Ledger, (ledger) => ledger.tiles(log)))
  const state = { done: 0, all: 0 }
  const meter = yield* progress(() => `${state.done} of ${state.all} files`)
  const onTile = (done: number, all: number) => {
    state.done = done
    state.all = all
  }
  const { oldSize } = yield* Tiles.write(out, source, { onTile, vkeys: [source.vkey, ...older] }).pipe(
    Effect.catchTag(["AuditError", "IntegrityError"], (error) => judged(Effect.fail(error)))
  )
  yield* meter.stop
  const { origin, root, size } = source.checkpoint
  yield* print(
    `origin ${origin}\nsize ${size}\nroot ${Buffer.from(root).toString("base64")}\nvkey ${
      vkeyOf(source.vkey, origin)
    }\nadded ${size - oldSize}\n`
  )
})

export const tiles = Command.make(
  "tiles",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    out: Flag.String("out").pipe(Flag.withDescription("The folder to write, one for each log; made if it is missing")),
    vkey: vkeyFlag.pipe(Flag.optional),
    ...signingFlags
  },
  Effect.fnUntraced(function*({ config, db, env, out, tenant, vkey, ...key }) {
    const older = Option.isNone(vkey) ? [] : yield* readVkeys(vkey.value)
    yield* run({ tenantId: tenant, env }, out, older).pipe(
      Effect.provide(signing({ config, db }, key)),
      Effect.catchTag("AuditError", (error) => judged(Effect.fail(error)))
    )
  })
).pipe(
  Command.withDescription(
    "Write a log as static files (C2SP tlog-tiles) that any web server can serve and other tools verify: its " +
      "checkpoint, " +
      "signed now, tiles and entry bundles. A folder that is there gets what is new; --vkey names the key that it " +
      "was signed " +
      "with, if that was another. Prints origin, size, root and the log's " +
      "own verifier key. Exit 0: written, 1: the log is not what was signed, 2: could not be done."
  ),
  Command.withExamples([{
    command: "effect-audit tiles --db audit.db --tenant t_acme --env prod --out public/acme --key-file audit.key",
    description: "Publish a log"
  }])
)
