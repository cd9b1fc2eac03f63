/** Which fields of a schema are marked, by their places in what it encodes to. */
import { assert, describe, it } from "@effect/vitest"
import { Schema, SchemaGetter } from "effect"
import { AuditAction } from "effect-audit"
import { marksOf, namesIn, typeMarksOf } from "../../src/internal/fieldMarks.ts"

const { drop, keep, pseudonym, strip } = AuditAction
const places = (schema: Schema.Top) => marksOf(schema.ast, "input").map(({ mark, path }) => `${path.join("/")} ${mark}`)

interface List {
  readonly value: string
  readonly next?: List
}
const listOf = (value: Schema.Codec<string>): Schema.Codec<List> => {
  const list: Schema.Codec<List> = Schema.Struct({
    value,
    next: Schema.optionalKey(Schema.suspend((): Schema.Codec<List> => list))
  })
  return list
}
const joined = (inside: Schema.Codec<string>) =>
  Schema.Struct({ inside }).pipe(Schema.encodeTo(Schema.Struct({ first: Schema.String, last: Schema.String }), {
    decode: SchemaGetter.transform(({ first, last }) => ({ inside: first + last })),
    encode: SchemaGetter.transform(({ inside }) => ({ first: inside, last: "" }))
  }))

const shared = Schema.Struct({ x: strip(Schema.String) })
const person = Schema.Struct({ who: strip(Schema.String), n: Schema.Int })

describe("the marks of a schema", () => {
  it("end where a schema is made anew each time, and where many refer to each other", () => {
    const anew = (): Schema.Codec<List> =>
      Schema.Struct({ value: strip(Schema.String), next: Schema.optionalKey(Schema.suspend(anew)) })
    assert.isAtLeast(places(anew()).length, 2)
    const all: Array<Schema.Codec<unknown>> = Array.from({ length: 9 }, (_, at) =>
      Schema.Struct({
        text: at === 0 ? strip(Schema.String) : Schema.String,
        ...Object.fromEntries(
          Array.from({ length: 9 }, (_, to) => [`k${to}`, Schema.optionalKey(Schema.suspend(() => all[to]!))])
        )
      }))
    assert.isBelow(places(all[0]!).length, 1000)
  })

  it("are in the values as they are there, of a class as well", () => {
    const inValues = (schema: Schema.Top) =>
      typeMarksOf(schema.ast, "input").map(({ mark, path }) => `${path.join("/")} ${mark}`)
    assert.deepStrictEqual(inValues(person.pipe(Schema.encodeKeys({ who: "name" }))), ["input/who strip"])
    assert.deepStrictEqual(inValues(class extends Schema.Class<{}>("InValues")({ a: strip(Schema.String) }) {}), [
      "input/a strip"
    ])
    assert.deepStrictEqual(inValues(Schema.Struct({ a: strip(Schema.DateTimeUtcFromString) })), ["input/a strip"])
  })

  it("are beside the names that a schema knows", () => {
    const known = Schema.Struct({
      list: Schema.Array(Schema.Struct({ inList: Schema.Int })),
      pair: Schema.Tuple([Schema.Struct({ inPair: Schema.Int })]),
      either: Schema.Union([Schema.Struct({ left: Schema.Int }), Schema.Struct({ right: Schema.Int })]),
      by: Schema.Record(Schema.String, Schema.Struct({ inRecord: Schema.Int })),
      one: class extends Schema.Class<{}>("Known")({ inClass: Schema.Int }) {},
      later: Schema.suspend(() => Schema.Struct({ inLater: Schema.Int })),
      maybe: Schema.Option(Schema.Struct({ inMaybe: Schema.Int })),
      other: Schema.Struct({ before: Schema.Int }).pipe(Schema.encodeKeys({ before: "after" }))
    })
    assert.sameMembers([...namesIn(known.ast)], [
      ...Object.keys(known.fields),
      "inList",
      "inPair",
      "left",
      "right",
      "inRecord",
      "inClass",
      "inLater",
      "inMaybe",
      "before",
      "after"
    ])
    const endless = (): Schema.Codec<unknown> => Schema.Struct({ next: Schema.suspend(endless) })
    assert.deepStrictEqual([...namesIn(endless().ast)], ["next"])
  })

  const cases: ReadonlyArray<readonly [name: string, schema: Schema.Top, expected: ReadonlyArray<string>]> = [
    ["the whole of it", strip(Schema.String), ["input strip"]],
    [
      "each kind of mark",
      Schema.Struct({
        a: strip(Schema.String),
        b: drop(Schema.Int),
        c: keep(Schema.String),
        d: pseudonym(Schema.String)
      }),
      [
        "input/a strip",
        "input/b drop",
        "input/c keep",
        "input/d pseudonym"
      ]
    ],
    [
      "a tuple and its rest",
      Schema.TupleWithRest(Schema.Tuple([Schema.Int, strip(Schema.String)]), [drop(Schema.String)]),
      [
        "input/1 strip",
        "input/* drop"
      ]
    ],
    ["a record", Schema.Record(Schema.String, Schema.Struct({ a: strip(Schema.String) })), ["input/*/a strip"]],
    [
      "what may be missing",
      Schema.Struct({ a: Schema.optional(strip(Schema.String)), b: Schema.NullOr(strip(Schema.String)) }),
      [
        "input/a strip",
        "input/b strip"
      ]
    ],
    [
      "before and behind a check",
      Schema.Struct({
        a: strip(Schema.String.check(Schema.isMinLength(1))),
        b: strip(Schema.String).check(Schema.isMinLength(1)),
        c: strip(Schema.String).check(Schema.isMinLength(1)).pipe(Schema.brand("C")),
        d: strip(Schema.String).annotate({ title: "D" })
      }),
      ["input/a strip", "input/b strip", "input/c strip", "input/d strip"]
    ],
    ["the last of several", keep(strip(Schema.String)), ["input keep"]],
    ["a class", class extends Schema.Class<{}>("Marked")({ a: strip(Schema.String) }) {}, ["input/a strip"]],
    ["a declaration without an encoding, as a whole", Schema.Option(strip(Schema.String)), ["input strip"]],
    ["other names on the way", Schema.Struct({ a: strip(Schema.String) }).pipe(Schema.encodeKeys({ a: "b" })), [
      "input/b strip"
    ]],
    ["a mark that is lost on the way, as a whole", Schema.Struct({ a: joined(strip(Schema.String)) }), [
      "input/a strip"
    ]],
    [
      "nothing of what was to be kept, if that is lost on the way",
      Schema.Struct({ a: joined(keep(Schema.String)) }),
      []
    ],
    ["a recursion with marks, as a whole from where it begins again", listOf(strip(Schema.String)), [
      "input/value strip",
      "input/next strip"
    ]],
    ["nothing of a recursion without", listOf(Schema.String), []],
    [
      "a map and an option of fields, as a whole",
      Schema.Struct({
        a: Schema.ReadonlyMap(Schema.String, person),
        b: Schema.Option(person),
        c: Schema.ReadonlyMap(Schema.String, Schema.String)
      }),
      ["input/a strip", "input/b strip"]
    ],
    ["what is personal in what is kept", keep(person), ["input keep", "input/who strip"]],
    ["a record with personal names, as a whole", Schema.Record(strip(Schema.String), Schema.Int), ["input strip"]],
    ["a template with a personal part", Schema.TemplateLiteral(["u-", strip(Schema.String)]), ["input strip"]],
    [
      "a mark that is lost beside another that is not",
      Schema.Struct({ id: strip(Schema.String), who: Schema.String }).pipe(
        Schema.decodeTo(Schema.Struct({ id: Schema.String, who: strip(Schema.String) }), {
          decode: SchemaGetter.passthrough(),
          encode: SchemaGetter.passthrough()
        })
      ),
      ["input strip"]
    ],
    [
      "no member of a union that others do not keep",
      Schema.Union([
        Schema.Struct({ x: keep(Schema.String), y: keep(Schema.String) }),
        Schema.Struct({ x: Schema.String, y: keep(Schema.String) }),
        Schema.Null
      ]),
      ["input/y keep"]
    ],
    [
      "a recursion without marks beside a mark",
      Schema.Struct({ a: strip(Schema.String), list: listOf(Schema.String) }),
      [
        "input/a strip"
      ]
    ],
    ["no rest beside what is not kept", Schema.TupleWithRest(Schema.Tuple([Schema.String]), [keep(Schema.String)]), []],
    ["an array that is kept", Schema.Array(keep(Schema.String)), ["input/* keep"]],
    [
      "no other names beside one that is not kept",
      Schema.StructWithRest(Schema.Struct({ a: Schema.String }), [Schema.Record(Schema.String, keep(Schema.String))]),
      []
    ],
    ["a record that is kept", Schema.Record(Schema.String, keep(Schema.String)), ["input/* keep"]],
    ["no field whose name stands for all", Schema.Struct({ "*": keep(Schema.String), a: Schema.String }), []],
    ["a field whose name stands for all, if it is personal", Schema.Struct({ "*": strip(Schema.String) }), [
      "input/* strip"
    ]],
    ["a member of a union beside a text", Schema.Union([Schema.String, Schema.Struct({ a: keep(Schema.String) })]), [
      "input/a keep"
    ]],
    ["no text of a union that another text is not", Schema.Union([keep(Schema.Literal("a")), Schema.Number]), []],
    ["a text of a union that may be missing", Schema.Union([keep(Schema.String), Schema.Null, Schema.Boolean]), [
      "input keep"
    ]],
    [
      "a personal member of a union that another keeps",
      Schema.Union([
        Schema.Struct({ x: strip(Schema.String) }),
        Schema.Struct({ x: keep(Schema.String) })
      ]),
      ["input/x strip"]
    ],
    [
      "a template of two parts, and none without",
      Schema.Struct({
        a: Schema.TemplateLiteral([strip(Schema.String), "-", Schema.Number]),
        b: Schema.TemplateLiteral(["b-", Schema.Number])
      }),
      ["input/a strip"]
    ],
    [
      "a schema that is named often, below a personal field",
      Schema.Struct({
        a: strip(Schema.String),
        ...Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`k${n}`, Schema.suspend(() => shared)]))
      }),
      ["input/a strip", "input/k0/x strip", "input/k1/x strip", "input/k2/x strip", "input/k3 strip", "input/k4 strip"]
    ],
    ["nothing where nothing is marked", Schema.Struct({ a: Schema.String, b: Schema.Array(Schema.Int) }), []]
  ]
  for (const [name, schema, expected] of cases) {
    it(`are those of ${name}`, () => assert.deepStrictEqual(places(schema), expected))
  }
})
