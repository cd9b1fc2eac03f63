/** The verbs of the ledger, as processes of their own. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Stream } from "effect"
import { Ledger, SigningKey } from "effect-audit/ledger"
import { SqliteSignerState } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { spawn } from "node:child_process"
import { chmodSync, copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ledgerAt, log, temporaryFolder } from "../support.ts"
import { answers, line, run } from "./process.ts"

const lines = (from: number, count: number, more = {}) =>
  Array.from({ length: count }, (_, n) => line(from + n, more)).join("")

/** A store with events and a key, and how to call verbs on it. */
const store = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const db = join(folder, "audit.db")
  const key = join(folder, "audit.key")
  const made = yield* run(["keygen", "--out", key])
  assert.strictEqual(made.code, 0, made.stderr)
  const vkey = made.stdout.trim()
  const on = (verb: string, ...more: ReadonlyArray<string>) =>
    run([verb, "--db", db, "--tenant", "t_acme", "--env", "prod", ...more])
  const ingest = (text: string) => Effect.map(run(["ingest", "--db", db], text), ({ stdout }) => answers(stdout))
  const path = (name: string) => join(folder, name)
  return { folder, db, key, vkey, on, ingest, path }
})

describe("the ledger's verbs", () => {
  it.live(
    "sign, prove, show consistency, verify and export, and say so with their exit code",
    () =>
      Effect.gen(function*() {
        const { db, folder, ingest, key, on, path, vkey } = yield* store
        assert.strictEqual(statSync(key).mode & 0o777, 0o600)
        assert.match(vkey, /^effect-audit\/signer-[0-9a-f]{8}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$/)
        const [first] = yield* ingest(lines(0, 10))
        const eventId = first?.event_id ?? ""

        // Nothing is signed yet, and without a key nothing will be.
        const unsigned = yield* on("prove", "--event-id", eventId, "--out", path("none.json"))
        assert.strictEqual(unsigned.code, 2)
        assert.match(unsigned.stderr, /no checkpoint covers event/)

        const signed = yield* on("checkpoint", "--key-file", key)
        assert.strictEqual(signed.code, 0, signed.stderr)
        assert.match(
          signed.stdout,
          /^effect-audit\.local\/log\/[0-9a-f]{32}\n11\n.{44}\n\n— effect-audit\.local\/log\/.+\n$/u
        )
        writeFileSync(path("old"), signed.stdout)
        writeFileSync(path("vkey"), `${vkey}\n`)

        assert.strictEqual((yield* on("prove", "--event-id", eventId, "--out", path("proof.json"))).code, 0)
        rmSync(path("none.json"), { force: true })
        const proven = yield* run(["verify-proof", path("proof.json"), "--vkey", `@${path("vkey")}`])
        assert.strictEqual(proven.code, 0, proven.stderr)
        assert.strictEqual((JSON.parse(proven.stdout) as { readonly event_id: string }).event_id, eventId)
        writeFileSync(path("bad.json"), readFileSync(path("proof.json"), "utf8").replace("index 1", "index 2"))
        assert.strictEqual((yield* run(["verify-proof", path("bad.json"), "--vkey", vkey])).code, 1)
        assert.strictEqual((yield* run(["verify-proof", path("nothing.json"), "--vkey", vkey])).code, 2)
        assert.strictEqual((yield* run(["verify-proof", path("proof.json"), "--vkey", "nonsense"])).code, 2)

        yield* ingest(lines(10, 300))
        const late = yield* ingest(line(999))
        const open = yield* run(["verify", "--db", db, "--vkey", vkey])
        assert.strictEqual(open.code, 0, open.stderr)
        assert.match(open.stdout, /312 entries, 11 covered by a checkpoint, 301 not yet covered/)
        const onDemand = yield* on(
          "prove",
          "--event-id",
          late[0]?.event_id ?? "",
          "--out",
          path("late.json"),
          "--key-file",
          key
        )
        assert.strictEqual(onDemand.code, 0, onDemand.stderr)
        assert.strictEqual((yield* run(["verify-proof", path("late.json"), "--vkey", vkey])).code, 0)

        const consistent = yield* on("consistency", "--old", path("old"), "--vkey", vkey)
        assert.strictEqual(consistent.code, 0, consistent.stderr)
        assert.match(consistent.stdout, /^old 11\n(.{44}\n)+\neffect-audit\.local\/log\//)

        const smaller = join(folder, "smaller.db")
        yield* run(["ingest", "--db", smaller], line(0))
        const named = ["--db", smaller, "--tenant", "t_acme", "--env", "prod"]
        yield* run(["checkpoint", ...named, "--key-file", key, "--state", path("other.state"), "--new-signer"])
        const other = yield* run(["consistency", ...named, "--old", path("old"), "--vkey", vkey])
        assert.strictEqual(other.code, 1)
        assert.match(other.stderr, /old is of another log: effect-audit\.local\/log\/\w+, not effect-audit\.local/)

        const tiles = yield* on("tiles", "--out", path("tiles"), "--key-file", key)
        assert.strictEqual(tiles.code, 0, tiles.stderr)
        const ownVkey = /^vkey (.+)$/m.exec(tiles.stdout)?.[1] ?? ""
        for (const each of [vkey, ownVkey]) {
          const good = yield* run(["verify", "--tiles", path("tiles"), "--vkey", each])
          assert.strictEqual(good.code, 0, good.stdout)
        }
        yield* ingest(lines(400, 300))
        assert.match((yield* on("tiles", "--out", path("tiles"), "--key-file", key)).stdout, /^added 300$/m)
        assert.strictEqual((yield* run(["verify", "--tiles", path("tiles"), "--vkey", vkey])).code, 0)

        const known = yield* on("verify", "--vkey", `@${path("vkey")}`, "--old", path("old"))
        assert.strictEqual(known.code, 0, known.stdout)
        assert.match((yield* run(["verify", "--db", db])).stdout, /signatures not checked: no --vkey/)

        // Someone changes a byte; someone else puts an old copy back.
        const tile = join(folder, "tiles/tile/entries/000")
        const bytes = readFileSync(tile)
        bytes[100]! ^= 1
        writeFileSync(tile, bytes)
        const changed = yield* run(["verify", "--tiles", path("tiles"), "--vkey", vkey])
        assert.strictEqual(changed.code, 1)
        assert.match(changed.stdout, /^tile\/0\/000: /m)
        assert.strictEqual((yield* run(["verify", "--db", path("nothing.db")])).code, 2)
        assert.strictEqual((yield* run(["verify"])).code, 2)
      }),
    120_000
  )

  it.live("refuse an open key, a lost state and a store that was put back", () =>
    Effect.gen(function*() {
      const { db, ingest, key, on, path, vkey } = yield* store
      yield* ingest(lines(0, 10))
      copyFileSync(db, path("backup.db"))
      yield* ingest(lines(10, 10))
      const later = yield* on("checkpoint", "--key-file", key)
      writeFileSync(path("later"), later.stdout)

      chmodSync(key, 0o644)
      const open = yield* on("checkpoint", "--key-file", key)
      assert.strictEqual(open.code, 2)
      assert.match(open.stderr, /chmod 600/)
      chmodSync(key, 0o600)

      copyFileSync(path("backup.db"), db)
      const forked = yield* on("checkpoint", "--key-file", key)
      assert.strictEqual(forked.code, 1)
      assert.match(forked.stderr, /the log has 11 entries, and a checkpoint was signed at 21/)
      const [refused] = yield* ingest(line(30))
      assert.strictEqual(refused?.reason, "LogStopped")
      const [other] = yield* ingest(line(30, { context: { tenantId: "t_globex" } }))
      assert.strictEqual(other?.status, "accepted")
      const found = yield* on("verify", "--vkey", vkey, "--old", path("later"))
      assert.strictEqual(found.code, 1)
      assert.match(found.stdout, /t_acme prod: truncated at position 11: /)
      assert.strictEqual((yield* on("consistency", "--old", path("later"), "--vkey", vkey)).code, 1)

      rmSync(`${key}.state`)
      const lost = yield* on("checkpoint", "--key-file", key)
      assert.strictEqual(lost.code, 2)
      assert.match(lost.stderr, /--new-signer/)
      const again = yield* run(["keygen", "--out", key])
      assert.strictEqual(again.code, 2)
      assert.match(again.stderr, /never replaced/)
    }), 60_000)

  it.live("hold, release and erase, and the erased event is proven without its content", () =>
    Effect.gen(function*() {
      const { db, ingest, key, on, path, vkey } = yield* store
      const stored = yield* ingest(lines(0, 6, { context: { actor: { type: "human", id: "u_gone" } } }))
      yield* ingest(lines(6, 6))
      const why = ["--reason", "request 4711", "--actor-id", "officer"]
      assert.match((yield* on("hold", "--person", "u_gone", ...why)).stdout, /^held; recorded at position 13$/m)
      const held = yield* on("erase", "--person", "u_gone", ...why)
      assert.strictEqual(held.code, 2)
      assert.match(held.stderr, /Under legal hold/)
      assert.strictEqual((yield* on("release", "--person", "u_gone", ...why)).code, 0)
      assert.strictEqual((yield* on("release", "--person", "u_gone", ...why)).code, 2)
      const one = yield* on("erase", "--event-id", stored[2]?.event_id ?? "", ...why)
      assert.match(one.stdout, /^erased 1 events at positions 3; recorded at position 15\nscrubbed: /)
      const all = yield* on("erase", "--person", "u_gone", ...why)
      assert.match(all.stdout, /^erased 7 events at positions 1-2, 4-6, 13-14; recorded at position 16\n/)
      assert.isFalse(readFileSync(db).includes("u_gone"))
      const eventId = stored[2]?.event_id ?? ""
      yield* on("prove", "--event-id", eventId, "--out", path("proof.json"), "--key-file", key)
      const proven = yield* run(["verify-proof", path("proof.json"), "--vkey", vkey])
      assert.strictEqual(proven.code, 0)
      assert.match(proven.stdout, /^erased: the entry at position 3$/m)
      const both = yield* on("erase", "--person", "u1", "--before", "2020-01-01", ...why)
      assert.strictEqual(both.code, 2)
      const early = yield* on("erase", "--before", "2020-01-01", ...why)
      assert.match(early.stdout, /^nothing to erase/)
      assert.strictEqual((yield* run(["verify", "--db", db, "--vkey", vkey])).code, 0)
      assert.match((yield* on("query")).stdout, /\(erased\)/)
    }), 60_000)

  it.live("go on with another key and the same state", () =>
    Effect.gen(function*() {
      const { ingest, key, on, path, vkey } = yield* store
      yield* ingest(lines(0, 3))
      yield* on("checkpoint", "--key-file", key)
      yield* on("tiles", "--out", path("tiles"), "--key-file", key)
      const state = `${key}.state`
      const made = yield* run(["keygen", "--out", path("next.key"), "--state", state, "--name", "acme/signer-2"])
      assert.strictEqual(made.code, 0, made.stderr)
      const next = made.stdout.trim()
      yield* ingest(lines(3, 3))
      const signing = ["--key-file", path("next.key"), "--state", state]
      assert.strictEqual((yield* on("checkpoint", ...signing)).code, 0)
      assert.strictEqual((yield* on("verify", "--vkey", next)).code, 1)
      assert.strictEqual((yield* on("verify", "--vkey", next, "--vkey", vkey)).code, 0)
      assert.strictEqual((yield* on("tiles", "--out", path("tiles"), ...signing)).code, 1)
      assert.strictEqual((yield* on("tiles", "--out", path("tiles"), ...signing, "--vkey", vkey)).code, 0)
    }), 60_000)
})

const loop = fileURLToPath(new URL("../fixtures/ledgerLoop.ts", import.meta.url))

/** Runs the loop until it has said `count` lines, and kills it there; what it said. */
const killedAfter = (count: number, args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const done = yield* Deferred.make<string>()
    const child = spawn(process.execPath, [loop, ...args], { stdio: ["ignore", "pipe", "inherit"] })
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString()
      if (said.split("\n").length > count) child.kill("SIGKILL")
    })
    child.on("close", () => Deferred.doneUnsafe(done, Effect.succeed(said)))
    return yield* Deferred.await(done)
  })

describe("a killed process", () => {
  it.live(
    "leaves a tree that is that of the events, and erasures that are done or not done",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const filename = join(folder, "audit.db")
        const keyFile = join(folder, "key")
        const key = yield* SigningKey.generate(keyFile, "test/signer")
        const signer = { key, state: `${keyFile}.state`, newSigner: true }
        yield* Effect.scoped(Layer.build(SqliteSignerState.layer(signer)))
        for (let round = 0; round < 12; round++) {
          const thread = String(round % 2 === 0)
          const said = yield* killedAfter(30 + Math.floor(Math.random() * 200), [filename, keyFile, thread])
          const whole = said.slice(0, said.lastIndexOf("\n") + 1)
          const stored = [...whole.matchAll(/^stored (\d+)$/gm)].map(([, position]) => Number(position))
          const erased = [...whole.matchAll(/^erased (\S+) (\d+) true$/gm)]
          yield* Effect.gen(function*() {
            yield* Ledger.checkpoint(log)
            // An erasure that was done in part would leave events without content that no record names.
            const findings = yield* Stream.runCollect(Ledger.verify({ vkey: key.vkey, log }))
            assert.deepStrictEqual(findings.filter(({ _tag }) => _tag === "Fault"), [])
            const end = findings.find(({ _tag }) => _tag === "Verified")
            assert(end?._tag === "Verified")
            assert.isAbove(end.size, Math.max(0, ...stored))
            for (const [, person, count] of erased) {
              assert.strictEqual(Number(count), 20)
              const left = yield* AuditTrail.query({ ...log, filter: { userId: person } })
              assert.strictEqual(left.items.length, 0)
            }
          }).pipe(Effect.provide(ledgerAt({ filename }, signer)))
        }
      }),
    120_000
  )
})
