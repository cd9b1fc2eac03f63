/** Typed actions: what is said once holds for each event, and marked fields are not in it. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Schema, SchemaGetter } from "effect"
import { AuditAction, type AuditError, AuditLogger, LoggingEngine, PiiStripper } from "effect-audit"
import { AuditTest } from "effect-audit/test"
import { within } from "./support.ts"

class Address extends Schema.Class<Address>("Address")({
  street: AuditAction.strip(Schema.String),
  city: Schema.String
}) {}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: AuditAction.strip(Schema.String),
  children: Schema.Array(Schema.suspend(() => Tree))
})

const Order = Schema.Struct({
  nickname: AuditAction.strip(Schema.String),
  customer: AuditAction.pseudonym(Schema.String),
  note: AuditAction.drop(Schema.String),
  card: AuditAction.keep(Schema.String),
  born: AuditAction.strip(Schema.DateTimeUtcFromString),
  address: Address,
  tags: Schema.Array(
    Schema.Struct({ value: AuditAction.strip(Schema.String.check(Schema.isMinLength(1))), n: Schema.Number })
  ),
  extra: Schema.Record(Schema.String, AuditAction.strip(Schema.String)),
  renamed: Schema.Struct({ inside: AuditAction.strip(Schema.String) }).pipe(Schema.encodeKeys({ inside: "outside" })),
  whole: Schema.Struct({ inside: AuditAction.strip(Schema.String) }).pipe(
    Schema.encodeTo(
      Schema.Struct({ first: Schema.String, last: Schema.String }),
      {
        decode: SchemaGetter.transform(({ first, last }) => ({ inside: first + last })),
        encode: SchemaGetter.transform(({ inside }) => ({ first: inside, last: "" }))
      }
    )
  ),
  checked: AuditAction.strip(Schema.String).check(Schema.isMinLength(1)),
  either: Schema.Union([AuditAction.strip(Schema.String), Schema.Null]),
  maybe: Schema.optionalKey(AuditAction.strip(Schema.String)),
  tree: Tree,
  total: Schema.Number
})
const order: typeof Order.Type = {
  nickname: "secret-nick",
  customer: "secret-customer",
  note: "secret-note",
  card: "4111 1111 1111 1111",
  born: DateTime.makeUnsafe("1990-01-02T03:04:05Z"),
  address: new Address({ street: "secret-street", city: "Ghent" }),
  tags: [{ value: "secret-tag", n: 1 }, { value: "secret-tag2", n: 2 }],
  extra: { a: "secret-extra" },
  renamed: { inside: "secret-inside" },
  whole: { inside: "secret-whole" },
  checked: "secret-checked",
  either: "secret-either",
  tree: { name: "secret-root", children: [{ name: "secret-child", children: [] }] },
  total: 7
}

const OrderCreate = AuditAction.make("order.create", {
  resource: "order",
  input: Order,
  output: Schema.Struct({ invoice: Schema.String, token: Schema.String }),
  redaction: { output: { token: "drop" } },
  subjects: ({ customer }) => [customer],
  severity: "notice"
})
const only = Effect.map(AuditTest.events(), (events) => events[0])
const key = { id: "k1", secret: Buffer.alloc(32, 3) }

describe("an action", () => {
  it.effect("records what it says, with its fields as they are marked", () =>
    Effect.gen(function*() {
      const receipt = yield* OrderCreate.emit({
        id: "o1",
        input: order,
        output: { invoice: "i1", token: "secret-token" }
      })
        .pipe(within())
      const event = yield* only
      assert.deepStrictEqual(
        [event?.action, event?.resource, event?.severity, event?.subject_ids?.map(String), event?.storage_class],
        ["order.create", { type: "order", id: "o1" }, "notice", ["secret-customer"], "audit"]
      )
      const { customer, ...input } = Object(event?.input)
      assert.match(customer, /^\[PERSONAL:k1:[\w-]{22}\]$/)
      assert.deepStrictEqual(input, {
        nickname: "[PERSONAL]",
        note: null,
        card: "4111 1111 1111 1111",
        born: "[PERSONAL]",
        address: { street: "[PERSONAL]", city: "Ghent" },
        tags: [{ value: "[PERSONAL]", n: 1 }, { value: "[PERSONAL]", n: 2 }],
        extra: { a: "[PERSONAL]" },
        renamed: { outside: "[PERSONAL]" },
        whole: "[PERSONAL]",
        checked: "[PERSONAL]",
        either: "[PERSONAL]",
        tree: { name: "[PERSONAL]", children: ["[PERSONAL]"] },
        total: 7
      })
      assert.deepStrictEqual(event?.output, { invoice: "i1", token: null })
      assert.notInclude(JSON.stringify({ ...event, subject_ids: [] }), "secret")
      assert.deepStrictEqual(event?.pii_flags.counts, { PERSONAL: 15 })
      assert.isFalse(event?.train_ok)
      assert.isFalse(receipt.trainOk)
    }).pipe(Effect.provide(AuditTest.layer({ pii: { key } }))))

  it.effect("masks what is to be a pseudonym where there is no key, or another stripper", () => {
    const emit = OrderCreate.emit({ id: "o1", input: order }).pipe(within(), Effect.andThen(only))
    const own = Layer.succeed(PiiStripper.PiiStripper, {
      strip: ({ content }) =>
        Effect.succeed({
          content,
          piiFlags: { flags: [], policy_reason: "mine", counts: {}, truncated: false },
          trainable: true
        })
    })
    const bare = AuditLogger.layerEngine.pipe(
      Layer.provideMerge(LoggingEngine.layer()),
      Layer.provide(own),
      Layer.provideMerge(AuditTest.layer())
    )
    return Effect.gen(function*() {
      for (const layer of [AuditTest.layer(), bare]) {
        const event = yield* Effect.provide(emit, Layer.fresh(layer))
        assert.strictEqual(Object(event?.input).customer, "[PERSONAL]")
        assert.deepStrictEqual(event?.pii_flags.flags, ["PERSONAL"])
        assert.isFalse(event?.train_ok)
        assert.notInclude(JSON.stringify({ ...event, subject_ids: [] }), "secret")
      }
    })
  })

  it.effect("still finds what no one marked, and lets an event train that has nothing personal in it", () =>
    Effect.gen(function*() {
      const Note = AuditAction.make("note.create", { input: Schema.Struct({ text: Schema.String }) })
      yield* Note.emit({ input: { text: "hello" } }).pipe(within())
      yield* Note.emit({ input: { text: "kim@example.com" } }).pipe(within())
      const events = yield* AuditTest.events()
      assert.deepStrictEqual(events.map(({ train_ok }) => train_ok), [true, false])
      assert.deepStrictEqual(events[1]?.input, { text: "[EMAIL]" })
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("refuses what its schemas do not take: the place, never the value", () =>
    Effect.gen(function*() {
      const Narrow = AuditAction.make("a.b", {
        input: Schema.Struct({ n: Schema.Struct({ m: Schema.Number.check(Schema.isLessThan(10)) }) }),
        output: Schema.Number.check(Schema.isLessThan(10)),
        subjects: ({ n }) => n.m === 5 ? JSON.parse("secret") : []
      })
      const reasonOf = <A, R>(effect: Effect.Effect<A, AuditError.AuditError, R>) =>
        Effect.map(Effect.flip(effect), ({ reason }) => reason._tag === "InvalidInput" ? reason.path : reason._tag)
      const inLog = <A, E, R>(effect: Effect.Effect<A, E, R>) => within()(effect)
      assert.strictEqual(yield* reasonOf(inLog(Narrow.emit({ input: { n: { m: 1234 } } }))), "/input/n/m")
      assert.strictEqual(yield* reasonOf(inLog(Narrow.emit({ input: { n: { m: 1 } }, output: 1234 }))), "/output")
      assert.strictEqual(yield* reasonOf(inLog(Narrow.emit({ input: { n: { m: 5 } } }))), "/subjectIds")
      const unpicked = yield* Effect.flip(inLog(Narrow.emit({ input: { n: { m: 5 } } })))
      assert.include(unpicked.message, "could not be picked from the input of a.b")
      const audited = Narrow.audited(Effect.succeed(1234), { input: { n: { m: 1 } } })
      assert.strictEqual(yield* reasonOf(inLog(audited)), "/output")
      const exit = yield* Effect.exit(inLog(Narrow.audited(Effect.succeed(1), { input: { n: { m: 1234 } } })))
      assert.isTrue(Exit.isFailure(exit))
      assert.notInclude(String(exit), "1234")
      // The effect had happened: that is recorded, without its result.
      assert.deepStrictEqual((yield* AuditTest.events()).map(({ outcome, output }) => [outcome, output]), [
        ["success", undefined]
      ])
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("records the outcome of an effect, and what is picked from its result, and gives the receipt", () =>
    Effect.gen(function*() {
      const effect = Effect.andThen(
        Effect.orDie(AuditLogger.emit({ action: "inner.done" })),
        Effect.succeed({ invoice: "i7", token: "secret-token", subject: "u9" })
      )
      const [result, receipt] = yield* OrderCreate.withReceipt(effect, {
        id: ({ invoice }) => invoice,
        input: order,
        subjectIds: ({ subject }) => [subject],
        related: ({ subject }) => [{ type: "person", id: subject }],
        metadata: ({ invoice }) => ({ invoice }),
        change: { before: { nickname: "secret-before" }, after: { total: 1 } },
        severity: (exit) => Exit.isSuccess(exit) ? undefined : "error",
        occurredAt: "2020-01-01T00:00:00Z",
        intent: true
      }).pipe(within())
      assert.strictEqual(result.invoice, "i7")
      const [intent, inner, event] = yield* AuditTest.events()
      assert.strictEqual(inner?.action, "inner.done")
      assert.strictEqual(intent?.phase, "intent")
      // Whom it is about is known from the input already.
      assert.deepStrictEqual(intent?.subject_ids?.map(String), ["secret-customer"])
      assert.strictEqual(receipt.eventId, event?.event_id)
      assert.deepStrictEqual(event?.output, { invoice: "i7", token: null })
      assert.deepStrictEqual(event?.resource, { type: "order", id: "i7" })
      assert.deepStrictEqual(event?.subject_ids?.map(String), ["secret-customer", "u9"])
      assert.deepStrictEqual(event?.related, [{ type: "person", id: "u9" }])
      assert.strictEqual(event?.metadata["invoice"], "i7")
      assert.deepStrictEqual(event?.change, { before: { nickname: "[PERSONAL]" }, after: { total: 1 } })
      assert.strictEqual(event?.severity, "notice")
      assert.strictEqual(event?.occurred_at, "2020-01-01T00:00:00.000Z")
      assert.notInclude(JSON.stringify([intent, event].map((one) => ({ ...one, subject_ids: [] }))), "secret")
      const failed = OrderCreate.audited(Effect.fail(new Error("no")), {
        id: "o2",
        input: order,
        output: () => ({ invoice: "", token: "" }),
        severity: () => "error",
        subjectIds: () => ["never"]
      })
      yield* Effect.exit(within()(failed))
      const last = (yield* AuditTest.events()).at(-1)
      assert.deepStrictEqual([last?.outcome, last?.error_tag, last?.severity], ["failure", "Error", "error"])
      assert.deepStrictEqual(last?.subject_ids?.map(String), ["secret-customer"])
    }).pipe(Effect.provide(AuditTest.layer())))

  it("has a name that an event can have, and none of the package's own", () => {
    for (const name of ["", "order", "Order Refund!", "order.Create", `a.${"b".repeat(127)}`]) {
      assert.throws(() => AuditAction.make(name), /the name of an action/)
    }
    for (
      const name of [
        "tool.call",
        "tool.requested",
        "tool.approval_requested",
        "tool.approve",
        "tool.deny",
        "model.call",
        "http.request",
        "http.refused",
        "mcp.anything",
        "audit.erased",
        "audit_trail.read"
      ]
    ) {
      assert.throws(() => AuditAction.make(name), /records itself/)
    }
    for (const resource of ["", "a b", "1a"]) {
      assert.throws(() => AuditAction.make("a.b", { resource }), /the type of a resource/)
    }
    for (const name of ["tool.lend", "http.probe", "my.audit.log", `a.${"b".repeat(126)}`]) {
      assert.strictEqual(AuditAction.make(name).name, name)
    }
  })

  it.effect("of another class is recorded by the engine", () =>
    Effect.gen(function*() {
      const Spent = AuditAction.make("token.spend", { input: Schema.Number, storageClass: "cost" })
      yield* Spent.emit({ input: 7 }).pipe(within())
      yield* Spent.audited(Effect.void, { input: 8 }).pipe(within())
      assert.deepStrictEqual(
        (yield* AuditTest.events()).map(({ input, storage_class }) => [input, storage_class]),
        [[7, "cost"], [8, "cost"]]
      )
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("keeps its marks behind a logger that adds a field to each draft", () =>
    Effect.gen(function*() {
      const logger = yield* AuditLogger.AuditLogger
      const decorated = AuditLogger.AuditLogger.of({
        emit: (draft, options) => logger.emit({ ...draft, metadata: { ...draft.metadata, host: "h1" } }, options)
      })
      yield* OrderCreate.emit({ id: "o1", input: order }).pipe(
        Effect.provideService(AuditLogger.AuditLogger, decorated),
        within()
      )
      const event = yield* only
      assert.strictEqual(event?.metadata["host"], "h1")
      assert.match(Object(event?.input).customer, /^\[PERSONAL:k1:/)
      assert.deepStrictEqual([event?.pii_flags.flags, event?.train_ok], [["PERSONAL"], false])
      assert.notInclude(JSON.stringify({ ...event, subject_ids: [] }), "secret")
    }).pipe(Effect.provide(AuditTest.layer({ pii: { key } }))))

  it.effect("marks whole inputs, records, numbers and what has other names, in changes as well", () =>
    Effect.gen(function*() {
      const person = Schema.Struct({ who: AuditAction.strip(Schema.String) })
      const Whole = AuditAction.make("a.whole", { input: AuditAction.strip(person) })
      const Renamed = AuditAction.make("a.renamed", { input: person.pipe(Schema.encodeKeys({ who: "name" })) })
      const Hashed = AuditAction.make("a.hashed", {
        input: Schema.Struct({
          record: AuditAction.pseudonym(Schema.Record(Schema.String, Schema.Int)),
          isIll: AuditAction.pseudonym(Schema.Boolean),
          "a/b": AuditAction.keep(Schema.String)
        })
      })
      const who = { who: "secret-who" }
      yield* Whole.emit({ input: who, change: { before: who } }).pipe(within())
      yield* Renamed.emit({ input: who, change: { before: who, after: { name: "secret-name" } } }).pipe(within())
      const hashed = { record: { "secret-key": 1 }, isIll: true, "a/b": "kim@example.com" }
      yield* Hashed.emit({ input: hashed }).pipe(within())
      yield* Hashed.emit({ input: hashed }).pipe(within())
      const events = yield* AuditTest.events()
      assert.notInclude(JSON.stringify(events), "secret-")
      assert.deepStrictEqual(events[0]?.change, { before: "[PERSONAL]" })
      const [one, two] = events.slice(2).map(({ input }) => Object(input))
      assert.deepStrictEqual(one, two)
      assert.match(one.record, /^\[PERSONAL:k1:/)
      assert.match(one.isIll, /^\[PERSONAL:k1:/)
      assert.strictEqual(one["a/b"], "kim@example.com")
      assert.deepStrictEqual(events.map(({ train_ok }) => train_ok), [false, false, false, false])
    }).pipe(Effect.provide(AuditTest.layer({ pii: { key } }))))

  it.effect("tells nothing of what a check throws, nor a name that is someone's word", () =>
    Effect.gen(function*() {
      const Throws = AuditAction.make("a.throws", {
        input: Schema.String.check(Schema.makeFilter((text: string) => JSON.parse(text)))
      })
      const Names = AuditAction.make("a.names", {
        input: Schema.Struct({ by: Schema.Record(Schema.String, Schema.Struct({ n: Schema.Int })) })
      })
      const thrown = yield* Effect.flip(Throws.emit({ input: "topsecret" }).pipe(within()))
      assert.deepInclude(thrown.reason, { _tag: "InvalidInput", path: "/input" })
      const named = yield* Effect.flip(Names.emit({ input: { by: { topsecret: { n: 1.5 } } } }).pipe(within()))
      assert.deepInclude(named.reason, { _tag: "InvalidInput", path: "/input/by/*/n" })
      for (const error of [thrown, named]) assert.notInclude(`${String(error)} ${String(error.cause)}`, "topsecret")
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("reads what it is given at the call", () =>
    Effect.gen(function*() {
      const metadata = { a: 1 }
      const Note = AuditAction.make("note.create", { input: Schema.Struct({ a: Schema.Int }) })
      const input = { a: 1 }
      const audited = Note.audited(Effect.void, { input, metadata })
      const emitted = Note.emit({ input, metadata })
      const received = Note.withReceipt(Effect.void, { input, metadata })
      metadata.a = input.a = 2
      yield* Effect.all([audited, emitted, received]).pipe(within())
      const events = yield* AuditTest.events()
      assert.deepStrictEqual(
        events.map(({ input, metadata }) => [input, metadata["a"]]),
        [1, 2, 3].map(() => [{ a: 1 }, 1])
      )
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("without a type has the resource that is given, and its output is what is picked", () =>
    Effect.gen(function*() {
      const Loose = AuditAction.make("a.loose", { output: Schema.Number })
      const about = (id: string) => ({ type: "thing", id })
      yield* Loose.emit({ resource: about("t1") }).pipe(within())
      yield* Loose.audited(Effect.succeed("abc"), { resource: about("t2"), output: (text) => text.length }).pipe(
        within()
      )
      yield* Loose.audited(Effect.succeed(4), { resource: (n) => about(`t${n}`) }).pipe(within())
      const Plain = AuditAction.make("a.plain", { resource: "thing" })
      yield* Plain.audited(Effect.succeed("secret-result"), { id: "t5", severity: "warning" }).pipe(within())
      assert.deepStrictEqual(
        (yield* AuditTest.events()).map(({ output, resource, severity }) => [resource?.id, output, severity]),
        [["t1", undefined, "info"], ["t2", 3, "info"], ["t4", 4, "info"], ["t5", undefined, "warning"]]
      )
    }).pipe(Effect.provide(AuditTest.layer())))

  it.effect("keeps what is to be kept where it is encoded, and nowhere else; names what is wrong", () =>
    Effect.gen(function*() {
      const Kept = AuditAction.make("a.kept", {
        input: Schema.Struct({ list: Schema.Array(Schema.Struct({ mail: AuditAction.keep(Schema.String) })) })
      })
      const input = { list: Array.from({ length: 12 }, () => ({ mail: "kim@example.com" })) }
      yield* Kept.emit({ input, change: { after: input } }).pipe(within())
      const event = yield* only
      assert.deepStrictEqual(event?.input, input)
      assert.notInclude(JSON.stringify(event?.change), "kim@")
      const wrong = { list: input.list.map((one, at) => at === 11 ? { mail: JSON.parse("7") } : one) }
      const error = yield* Effect.flip(Kept.emit({ input: wrong }).pipe(within()))
      assert.include(error.message, "/input/list/11/mail: is not what a.kept has there")
    }).pipe(Effect.provide(AuditTest.layer())))
})
