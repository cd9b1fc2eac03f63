/** Old events in tables of their own: everything is as before, whoever reads, writes and erases meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Fiber, Redacted, Stream } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger } from "effect-audit/ledger"
import { Postgres } from "effect-audit/postgres"
import { AuditTrail } from "effect-audit/trail"
import { SqlClient } from "effect/sql/SqlClient"
import { SqlError } from "effect/sql/SqlError"
import { join } from "node:path"
import { run } from "../cli/process.ts"
import { log, storedEvents, temporaryFolder, within } from "../support.ts"
import { everythingAt, faults, freshSchema, isWaiting, serverOfFile, until, whileLocked } from "./server.ts"

const file = serverOfFile()
const emitAll = (count: number, more: Partial<RequestContext.Json> = {}) =>
  Effect.all(
    Array.from(
      { length: count },
      (_, n) => AuditLogger.emit({ action: "note.create", input: { n }, subjectIds: [`s${n % 10}`] }).pipe(within(more))
    ),
    { concurrency: "unbounded" }
  )

const everything = (schema: string) => everythingAt(file, schema)
const holds = Effect.map(faults, (faults) => assert.deepStrictEqual(faults, []))

/** A time after all that was recorded, and not after what is to come. */
const behindAll = Effect.flatMap(DateTime.now, (last) =>
  Effect.repeat(Effect.andThen(Effect.yieldNow, DateTime.now), {
    until: (now) => now.epochMilliseconds > last.epochMilliseconds
  }))

/** Two logs; 700 events of the first before a time, and 100 behind it. */
const aged = Effect.gen(function*() {
  yield* emitAll(300, { tenantId: "t_globex" })
  yield* emitAll(699)
  const before = yield* behindAll
  yield* emitAll(100)
  return before
})

/** How many rows are in the table itself, and in all that inherit from it. */
const counts = (schema: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    const [row] = yield* sql.unsafe<{ readonly own: number; readonly all: number }>(
      `SELECT (SELECT count(*) FROM ONLY ${schema}.event)::int4 AS own, count(*)::int4 AS all FROM ${schema}.event`
    )
    return [row?.own, row?.all]
  })

const all = AuditTrail.stream({ ...log, order: "asc" }).pipe(Stream.runCollect)

describe("a partition", () => {
  it.live("has the whole bundles of one log before a time, and nothing else has changed", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      const asked = { ...log, schema, before }
      yield* Ledger.checkpoint(log)
      const [events, persons] = [
        yield* all,
        yield* Stream.runCollect(AuditTrail.stream({ ...log, filter: { subjectId: "s3" } }))
      ]
      const heard: Array<readonly [number, number]> = []
      const made = yield* Postgres.partition({ ...asked, progress: (moved, all) => heard.push([moved, all]) })
      const [id] = yield* (yield* SqlClient).unsafe<{ readonly id: string }>(
        `SELECT id::text FROM ${schema}.log WHERE tenant_id = 't_acme'`
      )
      assert.deepStrictEqual(made, [{ table: `event_${id?.id}_0_512`, from: 0, until: 512 }])
      assert.deepStrictEqual(heard, [[512, 512]])
      assert.deepStrictEqual(yield* counts(schema), [301 + 800 - 512, 301 + 800])
      // Nothing else is old enough.
      assert.deepStrictEqual(yield* Postgres.partition(asked), [])
      assert.deepStrictEqual(yield* all, events)
      assert.deepStrictEqual(
        yield* Stream.runCollect(AuditTrail.stream({ ...log, filter: { subjectId: "s3" } })),
        persons
      )
      const [moved] = events
      assert.isDefined(moved)
      yield* Ledger.prove({ ...log, eventId: moved.eventId })
      // What is to come goes on where it was.
      yield* emitAll(300)
      yield* holds
      const later = yield* Postgres.partition({ ...asked, before: yield* behindAll })
      assert.deepStrictEqual(later.map(({ from, until }) => [from, until]), [[512, 1024]])
      assert.deepStrictEqual((yield* storedEvents).length, 1100)
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is erased from as the table is, and gives its content back", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      const [{ table } = { table: "" }] = yield* Postgres.partition({ ...log, schema, before })
      const { count } = yield* Erasure.erase({ person: "s3", reason: "asked" }).pipe(within())
      assert.strictEqual(count, 80)
      const sql = yield* SqlClient
      const erasedIn = (table: string) =>
        Effect.map(
          sql.unsafe<{ readonly count: number }>(
            `SELECT count(*)::int4 AS count FROM ONLY ${schema}.${table} WHERE erased_at IS NOT NULL AND body IS NULL`
          ),
          ([row]) => row?.count ?? 0
        )
      const [own, moved] = [yield* erasedIn("event"), yield* erasedIn(table)]
      assert.isAbove(moved, 40)
      assert.strictEqual(own + moved, 80)
      yield* holds
      const retired = yield* Erasure.erase({ before, reason: "retention" }).pipe(within())
      assert.isTrue(retired.scrubbed)
      // All but the first entry, which says what log it is.
      assert.strictEqual(yield* erasedIn(table), 511)
      // No row that had content is left in the file of the partition.
      const [pages] = yield* sql.unsafe<{ readonly dead: number }>(
        `SELECT coalesce(n_dead_tup, 0)::int4 AS dead FROM pg_stat_all_tables WHERE relid = '${schema}.${table}'::regclass`
      )
      assert.strictEqual(pages?.dead, 0)
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is made while others write, read and erase", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emitAll(2100)
      const before = yield* behindAll
      const isOver = yield* Deferred.make<void>()
      const during = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.forkChild(Effect.gen(function*() {
          let times = 0
          while (!(yield* Deferred.isDone(isOver))) {
            yield* effect
            times++
          }
          return times
        }))
      const sizes: Array<number> = []
      const others = [
        yield* during(emitAll(20)),
        yield* during(emitAll(5, { tenantId: "t_globex" })),
        yield* during(Effect.map(storedEvents, ({ length }) => sizes.push(length)))
      ]
      const erasing = yield* Effect.forkChild(Effect.forEach(
        Array.from({ length: 10 }, (_, n) => n),
        (n) => Erasure.erase({ person: `s${n}`, reason: "asked" }).pipe(within())
      ))
      const made = yield* Postgres.partition({ ...log, schema, before })
      assert.deepStrictEqual(made.map(({ from, until }) => [from, until]), [[0, 2048]])
      const erased = yield* Fiber.join(erasing)
      yield* Deferred.succeed(isOver, undefined)
      for (const other of others) assert.isAbove(yield* Fiber.join(other), 0)
      // Nobody saw an event less than was there before.
      assert.deepStrictEqual(sizes, sizes.toSorted((a, b) => a - b))
      assert.isAtLeast(erased.reduce((sum, { count }) => sum + count, 0), 2100)
      assert.deepStrictEqual((yield* storedEvents).filter(({ erased }) => !erased).slice(0, 1).map((e) => e.position), [
        0
      ])
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("that was stopped in the middle is finished first", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emitAll(3000)
      const before = yield* behindAll
      const isHalf = yield* Deferred.make<void>()
      const asked = { ...log, schema, before }
      const first = yield* Effect.forkChild(Postgres.partition({
        ...asked,
        progress: () => Deferred.doneUnsafe(isHalf, Effect.void)
      }))
      yield* Deferred.await(isHalf)
      yield* Fiber.interrupt(first)
      const [own = 0] = yield* counts(schema)
      assert.isAbove(own, 3001 - 2816)
      yield* holds
      const made = yield* Postgres.partition(asked)
      assert.deepStrictEqual(made.map(({ from, until }) => [from, until]), [[0, 2816]])
      assert.deepStrictEqual(yield* counts(schema), [3001 - 2816, 3001])
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("waits for who holds the lock of the log, a moment at a time", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      const made = yield* whileLocked(schema, (end) =>
        Effect.gen(function*() {
          const making = yield* Effect.forkChild(Postgres.partition({ ...log, schema, before }))
          assert.isTrue(yield* isWaiting(schema))
          yield* end
          return yield* Fiber.join(making)
        }))
      assert.strictEqual(made.length, 1)
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("has the guards of the table, which verification misses, and its rows are missed as well", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      yield* Ledger.checkpoint(log)
      const [{ table } = { table: "" }] = yield* Postgres.partition({ ...log, schema, before })
      const sql = yield* SqlClient
      for (
        const [statement, says] of [
          [`DELETE FROM ${schema}.${table}`, "an event is never removed"],
          [`TRUNCATE ${schema}.${table}`, "an event is never removed"],
          [`DELETE FROM ${schema}.event`, "an event is never removed"],
          [`UPDATE ${schema}.event SET body = '' WHERE position = 5`, "an event never changes"]
        ] as const
      ) {
        const error = yield* Effect.flip(sql.unsafe(statement))
        assert.include(String(error.reason.cause), says, statement)
      }
      yield* sql.unsafe(`ALTER TABLE ${schema}.${table} DISABLE TRIGGER event_stays`)
      yield* sql.unsafe(`DELETE FROM ${schema}.event WHERE position = 700`).pipe(Effect.flip)
      yield* sql.unsafe(`DELETE FROM ${schema}.${table} WHERE position = 5`)
      const found = yield* faults
      assert.deepStrictEqual(found.filter(({ fault }) => fault === "guard").map(({ detail }) => detail), [
        `the guard event_stays of ${table} is not there as it was made`
      ])
      assert.deepStrictEqual(found.filter(({ fault }) => fault === "missing").map(({ position }) => position), [5])
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is seen by roles through the table alone", () => {
    const schema = freshSchema()
    const [app, reader] = [`app_${schema}`, `bi_${schema}`]
    return Effect.gen(function*() {
      const before = yield* aged
      const sql = yield* SqlClient
      for (const role of [app, reader]) yield* sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
      yield* Postgres.grant({ schema, application: app, reader })
      const [{ table } = { table: "" }] = yield* Postgres.partition({ ...log, schema, before })
      const as = (username: string) =>
        Effect.provide(file.server.client({ username, password: Redacted.make("secret"), maxConnections: 1 }))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* sql.unsafe("SET audit.tenant = 't_acme'")
        const seen = yield* sql.unsafe(`SELECT position FROM ${schema}.event`)
        assert.strictEqual(seen.length, 800)
        yield* sql.unsafe("SET audit.tenant = 't_globex'")
        assert.strictEqual((yield* sql.unsafe(`SELECT position FROM ${schema}.event`)).length, 301)
        assert.include(
          String((yield* Effect.flip(sql.unsafe(`SELECT position FROM ${schema}.${table}`))).reason.cause),
          "permission denied"
        )
      }).pipe(as(reader))
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Postgres.partition({ ...log, schema, before: yield* behindAll }))
        assert.include(String(error), "only the owner")
        const deleted = yield* Effect.flip((yield* SqlClient).unsafe(`DELETE FROM ${schema}.${table}`))
        assert.include(String(deleted.reason.cause), "permission denied")
      }).pipe(as(app))
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("leaves no position free for a second event, and one that is there is found", () => {
    const schema = freshSchema()
    const app = `app_${schema}`
    return Effect.gen(function*() {
      yield* emitAll(2000)
      const sql = yield* SqlClient
      yield* sql.unsafe(`CREATE ROLE ${app} LOGIN PASSWORD 'secret'`)
      yield* Postgres.grant({ schema, application: app })
      yield* Postgres.partition({ ...log, schema, before: yield* behindAll })
      const forge = (position: number) =>
        Effect.gen(function*() {
          yield* (yield* SqlClient).unsafe(
            `INSERT INTO ${schema}.event (log, position, recorded_at, event_id, commitment, salt, body) ` +
              `SELECT log, position, recorded_at, gen_random_uuid(), commitment, salt, body FROM ${schema}.event ` +
              "WHERE position = $1",
            [BigInt(position)]
          )
        }).pipe(Effect.provide(file.server.client({ username: app, password: Redacted.make("secret") })))
      const refused = yield* Effect.flip(forge(1023))
      assert(refused instanceof SqlError)
      assert.include(String(refused.reason.cause), "_moved")
      yield* emitAll(300)
      yield* holds
      // A step of verification ends at one of these.
      const [constraint] = yield* sql.unsafe<{ readonly name: string }>(
        `SELECT conname AS name FROM pg_constraint WHERE conrelid = '${schema}.event'::regclass AND contype = 'c'`
      )
      yield* sql.unsafe(`ALTER TABLE ONLY ${schema}.event DROP CONSTRAINT ${constraint?.name}`)
      for (const position of [500, 1023, 1024]) yield* forge(position)
      for (const options of [{}, { log }]) {
        const found = yield* Stream.runCollect(Ledger.verify(options))
        assert.deepStrictEqual(
          found.flatMap((one) => one._tag === "Fault" && one.fault === "duplicated" ? [one.position] : []),
          [500, 1023, 1024]
        )
      }
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is read whole by who waited while it was made", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      const [first] = yield* Postgres.partition({ ...log, schema, before })
      yield* emitAll(400)
      const [isLocked, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const sql = yield* SqlClient
      // What VACUUM FULL of the first one holds.
      const holder = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql.unsafe(`LOCK TABLE ${schema}.${first?.table} IN ACCESS EXCLUSIVE MODE`)
        yield* Deferred.succeed(isLocked, undefined)
        yield* Deferred.await(mayEnd)
      })))
      yield* Deferred.await(isLocked)
      const reading = yield* Effect.forkChild(Stream.runCollect(AuditTrail.stream({ ...log, order: "desc" })))
      assert.isTrue(yield* isWaiting(schema))
      const making = yield* Effect.forkChild(Postgres.partition({ ...log, schema, before: yield* behindAll }))
      // It waits for the reader, which waits for the first partition.
      const tables = sql.unsafe(`SELECT FROM pg_inherits WHERE inhparent = '${schema}.event'::regclass`)
      assert.isTrue(yield* until(tables, (found) => found.length === 2))
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(holder)
      assert.strictEqual((yield* Fiber.join(reading)).length, 1200)
      assert.strictEqual((yield* Fiber.join(making)).length, 1)
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is made once by two at once, with the guard as it was, and never inside a transaction", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      const before = yield* aged
      const sql = yield* SqlClient
      const make = Postgres.partition({ ...log, schema, before })
      assert.include(String(yield* Effect.flip(sql.withTransaction(make))), "inside a transaction")
      const state = Effect.map(
        sql.unsafe<{ readonly state: string }>(
          `SELECT tgenabled::text AS state FROM pg_trigger WHERE tgrelid = '${schema}.event'::regclass ` +
            "AND tgname = 'event_stays'"
        ),
        ([row]) => row?.state
      )
      yield* sql.unsafe(`ALTER TABLE ${schema}.event DISABLE TRIGGER event_stays`)
      assert.include(String(yield* Effect.flip(make)), "the guard event_stays is gone or off")
      assert.strictEqual(yield* state, "D")
      yield* sql.unsafe(`ALTER TABLE ${schema}.event ENABLE ALWAYS TRIGGER event_stays`)
      const made = yield* Effect.all([make, make, make], { concurrency: "unbounded" })
      assert.strictEqual(new Set(made.flat().map(({ table }) => table)).size, 1)
      const tables = yield* sql.unsafe(`SELECT FROM pg_inherits WHERE inhparent = '${schema}.event'::regclass`)
      assert.deepStrictEqual([tables.length, yield* state, yield* counts(schema)], [1, "A", [589, 1101]])
      yield* holds
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is asked for by what there is", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emitAll(300)
      const before = yield* behindAll
      const why = (options: Partial<Postgres.PartitionOptions>) =>
        Effect.map(Effect.flip(Postgres.partition({ ...log, schema, before, ...options })), String)
      assert.include(yield* why({ before: "soon" }), "at /before: must be a time")
      assert.include(yield* why({ tablespace: "a; DROP" }), "at /tablespace: is no name")
      assert.include(yield* why({ tablespace: "none" }), "tablespace \"none\" does not exist")
      assert.include(yield* why({ tenantId: RequestContext.TenantId.make("t_globex") }), "t_globex has no log in")
      assert.include(yield* why({ schema: "audit_none" }), "there is no audit store in the schema")
      assert.deepStrictEqual(yield* Postgres.partition({ ...log, schema, before: "2020-01-01" }), [])
      assert.strictEqual((yield* Postgres.partition({ ...log, schema, before, tablespace: "pg_default" })).length, 1)
    }).pipe(Effect.provide(everything(schema)))
  })

  it.live("is a verb of the command line", () => {
    const schema = freshSchema()
    return Effect.gen(function*() {
      yield* emitAll(600).pipe(Effect.provide(everything(schema)))
      const db = file.server.address(schema)
      const asked = ["partition", "--tenant", "t_acme", "--env", log.env, "--before", "2999-01-01"]
      process.env["PGPASSWORD"] = "secret"
      const made = yield* run([...asked, "--db", db])
      assert.strictEqual(made.code, 0, made.stderr)
      assert.match(made.stdout, /^event_\d+_0_512: positions 0 to 511\n$/)
      const again = yield* run([...asked, "--db", db])
      assert.deepStrictEqual([again.code, again.stdout], [0, ""])
      assert.include(again.stderr, "nothing to move")
      delete process.env["PGPASSWORD"]
      const file_ = yield* run([...asked, "--db", join(yield* temporaryFolder, "a.db")])
      assert.deepStrictEqual([file_.code, file_.stdout], [2, ""])
      assert.include(file_.stderr, "a SQLite file has no partitions")
    })
  })
})
