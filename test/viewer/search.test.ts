/** The search box's grammar, and the check of proofs in a browser, as far as they need no browser. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, Proof, Signer } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { check } from "../../src/viewer/app/proof.ts"
import { completions, parameters, parse, since, timeOf, withTerm } from "../../src/viewer/app/search.ts"
import { everythingOver, log, within } from "../support.ts"

const now = Date.parse("2026-01-31T12:00:00Z")

describe("the grammar of the search", () => {
  it("names fields of the API, and times from now on", () => {
    const text = "actor:u1 action:note.* outcome:denied since:2h until:2026-02-01 id:\"a b\" train:false"
    assert.deepStrictEqual(parameters(parse(text), now), {
      actorId: "u1",
      action: "note.*",
      outcome: "denied",
      since: "2026-01-31T10:00:00.000Z",
      until: "2026-02-01T00:00:00.000Z",
      resourceId: "a b",
      trainOk: "false"
    })
    assert.deepStrictEqual(parameters(parse(""), now), {})
  })

  it("says what is wrong of what is no term", () => {
    for (
      const text of ["kim", "who:kim", ":x", "actor:", "outcome:maybe", "since:yesterday", "constructor:x", "train:1"]
    ) {
      const [term] = parse(text)
      assert(term !== undefined && "wrong" in term, text)
    }
    assert.strictEqual(timeOf("2026-13-01", now), undefined)
    const ago = (seconds: number) => since("2026-01-31T12:00:00.000Z", Date.UTC(2026, 0, 31, 12) + seconds * 1000)
    assert.deepStrictEqual([-5, 5, 150, 7300, 400_000].map(ago), [
      "0 s ago",
      "5 s ago",
      "2 min ago",
      "2 h ago",
      "4 days ago"
    ])
    assert.strictEqual(timeOf("2026-01-31T12:00+01:00", now), "2026-01-31T11:00:00.000Z")
  })

  it("sets and takes away terms, and completes what is typed", () => {
    assert.strictEqual(withTerm("actor:a outcome:denied", "actor", "b c"), "outcome:denied actor:\"b c\"")
    assert.strictEqual(withTerm("actor:a outcome:denied", "actor", ""), "outcome:denied")
    assert.deepStrictEqual(completions("actor:a out", () => []), ["actor:a outcome:"])
    assert.deepStrictEqual(completions("outcome:d", () => []), ["outcome:denied "])
    assert.deepStrictEqual(completions("action:no", () => ["note.create", "order.read"]), ["action:note.create "])
  })
})

describe("a proof checked with WebCrypto alone", () => {
  const everything = everythingOver(() => Memory.layer())
  const proofs = Effect.gen(function*() {
    const receipts = yield* Effect.forEach(
      Array.from({ length: 9 }, (_, n) => n),
      (n) => AuditLogger.emit({ action: "note.create", input: { n }, subjectIds: [`u${n}`] }).pipe(within())
    )
    yield* Erasure.erase({ person: "u3", reason: "r" }).pipe(within())
    const files = yield* Effect.forEach(
      receipts,
      ({ eventId }) => Effect.map(Ledger.prove({ ...log, eventId }), Proof.encode)
    )
    return { files, vkey: (yield* Signer.Signer).vkey }
  }).pipe(Effect.provide(Layer.fresh(everything)))

  it.live("says what the ledger's own check says, of each position and of an erased event", () =>
    Effect.gen(function*() {
      const { files, vkey } = yield* proofs
      for (const [n, file] of files.entries()) {
        const own = Proof.verify(file, [vkey])
        assert(own._tag === "Success")
        const proven = yield* Effect.promise(() => check(file, vkey))
        assert.strictEqual(proven.position, n + 1)
        assert.strictEqual(proven.event, own.success.erased ? undefined : own.success.event)
        assert.strictEqual(n === 3, proven.event === undefined)
      }
    }))

  it.live("refuses every changed byte, and another key", () =>
    Effect.gen(function*() {
      const { files, vkey } = yield* proofs
      const file = files[4] ?? ""
      const refused = (text: string, key = vkey) =>
        Effect.map(Effect.exit(Effect.tryPromise(() => check(text, key))), (exit) => exit._tag === "Failure")
      assert.isFalse(yield* refused(file))
      const changed = Array.from({ length: 120 }, (_, i) => Math.floor(i * file.length / 120)).filter((at) =>
        /[A-Za-z0-9+/]/.test(file[at] ?? "")
      )
      for (const at of changed) {
        const other = file[at] === "A" ? "B" : "A"
        const text = file.slice(0, at) + other + file.slice(at + 1)
        assert.isTrue(yield* refused(text), `${at}: ${file.slice(at - 8, at + 8)}`)
      }
      const [name = ""] = vkey.split("+")
      assert.isTrue(yield* refused(file, `${name}+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA`))
      assert.isTrue(yield* refused(file, "x"))
    }))
})
