/** One configuration for an application and the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { AuditAction, AuditLogger, AuditRegistry, LoggingEngine, PiiStripper, WritePolicy } from "effect-audit"
import { AuditConfig } from "effect-audit/config"
import { Erasure } from "effect-audit/erasure"
import { Ledger, SigningKey } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { Kind } from "effect-audit/pii"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { answers, line, run } from "../cli/process.ts"
import { ledgerFiles, log, temporaryFolder, within } from "../support.ts"

const customer = Kind.make("CUSTOMER_NO")
const findCustomer = (text: string) =>
  [...text.matchAll(/C-\d{6}/g)].map(({ 0: { length }, index }) => ({
    start: index,
    end: index + length,
    kind: customer
  }))
const keys = { pseudonyms: { id: "k1", secret: new Uint8Array(32).fill(7) } }
const rules = {
  policy: { kinds: { EMAIL: "partial", CUSTOMER_NO: "pseudonym" } },
  keys,
  detectors: [findCustomer]
} as const
const inputs = Effect.map(
  AuditTrail.query({ ...log, order: "asc" }),
  ({ items }) => items.slice(1).flatMap((item) => item.erased ? [] : [item.event.input])
)

describe("AuditConfig.layer", () => {
  for (const medium of ["SQLite", "memory"] as const) {
    it.live(`opens everything that it says over ${medium}`, () =>
      Effect.gen(function*() {
        const { filename, key } = yield* ledgerFiles
        const store: AuditConfig.Store = medium === "memory" ? Memory.store : Sqlite.store({ filename })
        const config = AuditConfig.make({
          ...rules,
          store,
          deployment: "audit.example.com",
          signer: { key, state: `${filename}.state`, newSigner: true, interval: "1 hour" },
          limits: { maxKeys: 3, maxDepth: 2 }
        })
        yield* Effect.gen(function*() {
          const receipt = yield* AuditLogger.emit({
            action: "note.create",
            input: "C-123456 of kim@example.com"
          }).pipe(within())
          assert.deepStrictEqual<unknown>(receipt.piiFlags.flags, ["CUSTOMER_NO", "EMAIL"])
          assert.match(String((yield* inputs)[0]), /^\[CUSTOMER_NO:k1:[\w-]{22}\] of \[EMAIL:example\.com\]$/)
          const input = Object.fromEntries(Array.from({ length: 4 }, (_, n) => [`field${n}`, n]))
          const many = AuditLogger.emit({ action: "note.create", input })
          assert.strictEqual((yield* Effect.flip(many.pipe(within()))).reason._tag, "InvalidInput")
          yield* Erasure.erase({ eventIds: [receipt.eventId], reason: "asked" }).pipe(within())
          yield* LoggingEngine.setPreference({ trainingAllowed: false }).pipe(within())
          const { note } = yield* Ledger.checkpoint(log)
          assert.match(note, /^audit\.example\.com\/log\//)
        }).pipe(Effect.provide(Layer.fresh(AuditConfig.layer(config))))
      }))
  }

  it.live("treats the fields of its actions as they are marked, whoever records them", () =>
    Effect.gen(function*() {
      const share = AuditAction.make("doc.share", {
        input: Schema.Struct({ name: AuditAction.strip(Schema.String), pages: Schema.Number })
      })
      const config = AuditConfig.make({ store: Memory.store, actions: AuditRegistry.make(share) })
      yield* Effect.gen(function*() {
        const input = { name: "Kim", pages: 2 }
        yield* share.emit({ input }).pipe(within())
        yield* AuditLogger.emit({ action: "doc.share", input }).pipe(within())
        yield* LoggingEngine.log({ action: "doc.share", input }).pipe(within())
        // What is larger than is recorded is not, once it is marked.
        const long = { name: "Kim ".repeat(100_000), pages: 2 }
        yield* AuditLogger.audited(Effect.void, { action: "doc.share", input: long }).pipe(within())
        // Another action is not of the registry, and is recorded as it is.
        yield* AuditLogger.emit({ action: "doc.print", input }).pipe(within())
        const marked = { name: "[PERSONAL]", pages: 2 }
        assert.deepStrictEqual<unknown>(yield* inputs, [marked, marked, marked, marked, input])
      }).pipe(Effect.provide(Layer.fresh(AuditConfig.layer(config))))
    }))

  it.live("gives what the store itself gives, and remembers under which policy it is written", () =>
    Effect.gen(function*() {
      const { filename } = yield* ledgerFiles
      const open = (options: Partial<AuditConfig.Options>) =>
        Layer.build(
          Layer.fresh(AuditConfig.layer(AuditConfig.make({ ...rules, ...options, store: Sqlite.store({ filename }) })))
        )
      const used = Effect.scoped(Effect.gen(function*() {
        const services = yield* open({})
        return yield* Effect.provide(
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
            yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
            return (yield* (yield* WritePolicy.WritePolicy).current)?.fingerprint
          }),
          services
        )
      }))
      const fingerprint = yield* used
      const { policy } = yield* PiiStripper.make(AuditConfig.pii(AuditConfig.make({ ...rules, store: Memory.store })))
      assert.strictEqual(fingerprint, policy?.fingerprint)
      const refused = yield* Effect.flip(Effect.scoped(open({ policy: {} })))
      assert.strictEqual(refused.reason._tag, "InvalidInput")
      yield* Effect.scoped(open({ policy: {}, replaces: [fingerprint ?? ""] }))
    }))

  it.live("fails with the problem of a policy, a key file or a store", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const open = (options: Partial<AuditConfig.Options>) =>
        Effect.map(
          Effect.flip(
            Effect.scoped(Layer.build(AuditConfig.layer(AuditConfig.make({ store: Memory.store, ...options }))))
          ),
          ({ reason }) => reason.message
        )
      assert.match(yield* open({ policy: { kinds: { OTHER_NO: "mask" } } }), /\/policy\/kinds\/OTHER_NO/)
      assert.match(yield* open({ policy: { default: "pseudonym" } }), /pseudonyms need a key/)
      assert.match(yield* open({ polcy: {} } as object), /\/polcy: is not a field of a configuration/)
      assert.match(yield* open({ store: undefined } as object), /\/store: is missing/)
      assert.match(yield* open({ signer: { key: "k", keys: 1 } } as object), /\/signer\/keys: is not a field/)
      const own = yield* SigningKey.generate(join(folder, "own"), "test/own")
      assert.match(yield* open({ signer: { key: own } }), /\/signer\/state: is missing/)
      assert.match(yield* open({ deadline: "nonsense" } as object), /\/deadline: is no duration/)
      const unkeyed = { keys: { pseudonyms: { id: "k1", secret: undefined } } } as object
      assert.match(yield* open(unkeyed), /a secret of at least 32 bytes/)
      assert.match(yield* open({ detectors: "x" } as object), /\/detectors: must be an array of functions/)
      assert.match(yield* open({ signer: { key: join(folder, "none") } }), /none cannot be read/)
      assert.match(yield* open({ store: Sqlite.store({ filename: join(folder, "none"), mustExist: true }) }), /none/)
    }))

  it.live("reads the signing key from its file, with the state beside it", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const key = join(folder, "key")
      yield* SigningKey.generate(key, "test/signer")
      const config = AuditConfig.make({
        store: Sqlite.store({ filename: join(folder, "audit.db") }),
        signer: { key, newSigner: true }
      })
      yield* Effect.gen(function*() {
        yield* AuditLogger.emit({ action: "note.create" }).pipe(within())
        yield* Ledger.checkpoint(log)
      }).pipe(Effect.provide(AuditConfig.layer(config)))
      const { code, stdout } = yield* run(["verify", "--db", join(folder, "audit.db"), "--state", `${key}.state`])
      assert.strictEqual(code, 0, stdout)
    }))
})

describe("the command line with --config", () => {
  const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)))
  const prepared = Effect.gen(function*() {
    const { filename, folder, key } = yield* ledgerFiles
    const config = join(folder, "audit.config.ts")
    const write = (more = "", detectors = "[find]") =>
      writeFileSync(
        config,
        `import { AuditConfig } from ${source("config/index.ts")}
import { Kind } from ${source("pii/index.ts")}
import { Sqlite } from ${source("sqlite/index.ts")}
const kind = Kind.make("CUSTOMER_NO")
const find = (text: string) =>
  [...text.matchAll(/C-\\d{6}/g)].map(({ 0: { length }, index }) => ({ start: index, end: index + length, kind }))
export default AuditConfig.make({
  store: Sqlite.store({ filename: ${JSON.stringify(filename)} }),
  deployment: "audit.example.com",
  policy: { kinds: { EMAIL: "partial", CUSTOMER_NO: "pseudonym" } },
  keys: { pseudonyms: { id: "k1", secret: new Uint8Array(32).fill(7) } },
  detectors: ${detectors},
  signer: { key: ${JSON.stringify(join(folder, "key"))}, newSigner: true },
  ${more}
})
`
      )
    write()
    return { filename, folder, config, write, vkey: key.vkey }
  })
  const named = ["--tenant", "t_acme", "--env", "prod"]
  const events = line(1, { draft: { input: "C-123456 of kim@example.com" } })

  it.live("strips, signs, verifies and erases as the application does", () =>
    Effect.gen(function*() {
      const { config, filename, vkey } = yield* prepared
      const first = yield* run(["ingest", "--config", config], events)
      assert.deepStrictEqual([first.code, answers(first.stdout)[0]?.status], [0, "accepted"], first.stderr)
      // The application itself, in this process.
      const own = AuditConfig.make({ ...rules, store: Sqlite.store({ filename }), deployment: "audit.example.com" })
      yield* AuditLogger.emit({ action: "note.create", input: "C-123456 of kim@example.com" }).pipe(
        within(),
        Effect.provide(Layer.fresh(AuditConfig.layer(own)))
      )
      const queried = yield* run(["query", "--config", config, ...named, "--format", "ndjson", "--action", "note.*"])
      const stored = queried.stdout.trimEnd().split("\n").map((text) => (JSON.parse(text) as { input: string }).input)
      assert.match(stored[0] ?? "", /^\[CUSTOMER_NO:k1:[\w-]{22}\] of \[EMAIL:example\.com\]$/)
      assert.strictEqual(stored[0], stored[1])
      const checkpoint = yield* run(["checkpoint", "--config", config, ...named])
      assert.match(checkpoint.stdout, /^audit\.example\.com\/log\//, checkpoint.stderr)
      const verified = yield* run(["verify", "--config", config, "--vkey", vkey])
      assert.strictEqual(verified.code, 0, verified.stdout + verified.stderr)
      assert.match(verified.stdout, /the signer's state/)
      const erased = yield* run([
        "erase",
        "--config",
        config,
        ...named,
        "--person",
        "u1",
        "--reason",
        "C-123456",
        "--actor-id",
        "dpo"
      ])
      assert.strictEqual(erased.code, 0, erased.stderr)
      const prefs = yield* run(["prefs", "set", "--config", config, ...named, "--opt-out"])
      assert.strictEqual(prefs.code, 0, prefs.stderr)
    }), 30_000)

  it.live(
    "without it a store that is written under another policy takes nothing, and can be read",
    () =>
      Effect.gen(function*() {
        const { config, filename, write } = yield* prepared
        yield* run(["ingest", "--config", config], events)
        const verbs = [
          ["ingest"],
          ["prefs", "set", ...named, "--opt-out"],
          ["erase", ...named, "--person", "u1", "--reason", "r", "--actor-id", "dpo"],
          ["hold", ...named, "--person", "u1", "--reason", "r", "--actor-id", "dpo"]
        ]
        for (const verb of verbs) {
          const { code, stderr, stdout } = yield* run([...verb, "--db", filename], events)
          assert.deepStrictEqual([code, stdout], [2, ""], verb.join(" "))
          assert.match(stderr, /the store is written under the PII policy [0-9a-f]{32}, and this one is [0-9a-f]{32}/)
          assert.match(stderr, /--config FILE, the application's configuration/)
        }
        assert.strictEqual((yield* run(["query", "--db", filename, ...named])).code, 0)
        assert.strictEqual((yield* run(["verify", "--db", filename])).code, 0)
        // Another number of detectors, or another revision, is another policy as well.
        write("", "[]")
        assert.strictEqual((yield* run(["ingest", "--config", config], events)).code, 2)
        write("revision: \"2\"")
        const refused = yield* run(["ingest", "--config", config], events)
        const [from] = /[0-9a-f]{32}/.exec(refused.stderr) ?? []
        write(`revision: "2", replaces: ["${from}"]`)
        assert.strictEqual((yield* run(["ingest", "--config", config], events)).code, 0)
        assert.match((yield* run(["query", "--config", config, ...named])).stdout, /audit\.policy_changed/)
      }),
    30_000
  )

  it.live("takes nothing into a restored store that is older than what was signed", () =>
    Effect.gen(function*() {
      const { config, filename } = yield* prepared
      yield* run(["ingest", "--config", config], events)
      const backup = `${filename}.backup`
      yield* run(["backup", "--config", config, "--out", backup])
      yield* run(["ingest", "--config", config], events)
      assert.strictEqual((yield* run(["checkpoint", "--config", config, ...named])).code, 0)
      const restored = yield* run(["ingest", "--config", config, "--db", backup], events)
      assert.deepStrictEqual(answers(restored.stdout)[0]?.reason, "LogStopped")
      const erased = ["erase", "--person", "u1", "--reason", "r", "--actor-id", "dpo"]
      assert.strictEqual((yield* run([...erased, "--config", config, "--db", backup, ...named])).code, 2)
    }), 30_000)

  it.live("says what is wrong with a configuration", () =>
    Effect.gen(function*() {
      const { config, folder } = yield* prepared
      const cases: ReadonlyArray<readonly [content: string | undefined, said: RegExp]> = [
        [undefined, /there is no file/],
        ["export default {", /cannot be loaded: /],
        [
          "throw { get message() { throw 1 }, toString() { throw 1 } }",
          /cannot be loaded: what it threw cannot be told/
        ],
        ["throw new Error('no secret\\nsecond line')", /cannot be loaded: no secret$/m],
        ["export const config = 1", /has no AuditConfig as its default export/],
        ["export default { [Symbol.for('effect-audit/AuditConfig')]: true }", /another copy of effect-audit/],
        [
          `import { AuditConfig } from ${source("config/index.ts")}\nimport { Memory } from ${
            source("memory/index.ts")
          }\n` +
          "export default AuditConfig.make({ store: Memory.store })",
          /the configuration's store is no file/
        ]
      ]
      for (const [content, said] of cases) {
        const file = join(folder, `${cases.findIndex(([other]) => other === content)}.config.mjs`)
        if (content !== undefined) writeFileSync(file, content)
        const { code, stderr, stdout } = yield* run(["query", "--config", file, ...named])
        assert.deepStrictEqual([code, stdout], [2, ""], content)
        assert.match(stderr, said)
      }
      const none = yield* run(["query", ...named])
      assert.deepStrictEqual([none.code, none.stdout], [2, ""])
      assert.match(none.stderr, /give --db FILE or --config FILE/)
      const unsigned = yield* run(["checkpoint", "--db", config, ...named])
      assert.match(unsigned.stderr, /give --key-file FILE, or --config FILE of a configuration with a signer/)
    }), 30_000)
})
