/**
 * The logs of a SQLite file, for the rules of the ledger and of erasure.
 *
 * Reads committed facts on the connection that reads, and changes logs in transactions of the application's client, so
 * that what is appended inside a change is part of it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DatabaseSync } from "node:sqlite"
import { AuditError, IntegrityError, type IntegrityReason, NotFound, SinkRejected } from "../AuditError.ts"
import { erasedKeyHash } from "../internal/duplicate.ts"
import { uuidBytes } from "../internal/entropy.ts"
import { blobOf, integerOf } from "../internal/row.ts"
import { type Log, type LogReader, LogStore, type LogWriter, type Mark, type Snapshot } from "../ledger/LogStore.ts"
import type { LogName } from "../RequestContext.ts"
import { segmentRows } from "../trail/terms.ts"
import { type ClientConnection, connectionOf, connectReader, openReader, readOnly } from "./connection.ts"
import type { ReadOptions } from "./file.ts"
import { grownIn, holdColumns, lastRow, LogRows, readLogs } from "./logRows.ts"
import { problemsOf, unreadable } from "./Migrations.ts"
import { attempt, busy, failing, inOneTransaction, once, untilFree } from "./problem.ts"
import { SqliteClient } from "./SqliteClient.ts"

/** Runs synchronous work on a connection, with the errors of the store. */
type Run = <A>(work: () => A) => Effect.Effect<A, AuditError>

const readerOf = (db: DatabaseSync, rows: () => LogRows, run: Run): LogReader => ({
  logs: run(() => readLogs(db)),
  log: (name) => run(() => rows().log(name)),
  tiles: (log, runs) => run(() => rows().tiles(log, runs)),
  commitments: (log, from, to) => run(() => rows().commitments(log, from, to)),
  notes: (log, page) => run(() => rows().notes(log, page)),
  find: (log, eventIds) => run(() => rows().find(log, eventIds)),
  holds: (log) => run(() => rows().holds(log)),
  events: (log, range = {}) =>
    Stream.unwrap(Effect.map(
      run(() => [rows().firstRow(log, range), lastRow(db)] as const),
      ([first, last]) =>
        Stream.unfold(first, (from) =>
          from > last ? Effect.undefined : Effect.andThen(
            Effect.yieldNow,
            Effect.map(run(() => rows().events(log, range, from)), ({ events, next }) => [events, next] as const)
          ))
    ))
})

/** Reads on the connection that reads, each time in one transaction. */
const committed = (
  { deadlineMillis, filename, reader }: Pick<ClientConnection, "deadlineMillis" | "filename" | "reader">
): LogReader =>
  readerOf(reader, once(() => new LogRows(reader)), (work) =>
    Effect.mapError(
      untilFree(attempt(() => inOneTransaction(reader, work)), deadlineMillis),
      failing("LogStore", filename)
    ))

/** One state of a file, on a connection of its own that only reads. */
const snapshotOf = Effect.fnUntraced(function*(
  filename: string,
  deadlineMillis: number
): Effect.fn.Return<Snapshot, AuditError, Scope.Scope> {
  const db = yield* connectReader(filename, deadlineMillis)
  const run: Run = (work) => Effect.mapError(attempt(work), failing("LogStore.snapshot", filename))
  const problem = yield* run(() => {
    db.exec("BEGIN")
    return unreadable(db, filename)
  })
  if (problem !== undefined) return yield* new AuditError({ method: "LogStore.snapshot", reason: problem })
  const rows = yield* run(() => new LogRows(db))
  return {
    ...readerOf(db, () => rows, run),
    rows: yield* run(() => lastRow(db)),
    problems: run(() => problemsOf(db)),
    find: (log, eventIds) => run(() => eventIds.flatMap((eventId) => rows.findAll(log, uuidBytes(eventId)))),
    scan: (only) =>
      Stream.unfold(
        rows.beginning,
        (after) =>
          after === undefined ? Effect.undefined : Effect.andThen(
            Effect.yieldNow,
            Effect.map(
              run(() => rows.scan(after, only)),
              ({ events, next }) => [{ seen: Math.max(events.at(-1)?.row ?? after, 0), events }, next] as const
            )
          )
      )
  }
})

const broken = (reason: IntegrityReason) => new IntegrityError({ method: "LogStore.change", reason })

/**
 * Takes content, index terms and digests of rows away, in the open transaction, in steps between which others may run.
 */
const eraseRows = Effect.fnUntraced(function*(
  { table, writer }: ClientConnection,
  run: Run,
  log: Log,
  seqs: ReadonlyArray<number>,
  now: number
) {
  const erase = yield* run(() =>
    writer.prepare("UPDATE audit_event SET body = NULL, salt = NULL, recorded_at = NULL, erased_at = ? WHERE seq = ?")
  )
  // The connection is the application's as well, which may have set it otherwise.
  yield* run(() => writer.exec("PRAGMA secure_delete = ON"))
  const segments = Map.groupBy(seqs, (seq) => Math.floor((seq - 1) / segmentRows))
  for (const part of segments.values()) {
    yield* run(() => {
      for (const seq of part) erase.run(now, seq)
      table.index.erase(part)
    })
    yield* Effect.yieldNow
  }
  yield* run(() => {
    // Whoever uses keys and erases nothing needs no index of them.
    writer.exec(
      "CREATE INDEX IF NOT EXISTS audit_idempotency_key_by_seq ON audit_idempotency_key (seq) WHERE digest IS NOT NULL"
    )
    const clear = writer.prepare(
      "UPDATE audit_idempotency_key SET key_hash = ?, digest = NULL WHERE log = ? AND key_hash = ?"
    )
    const used = writer.prepare("SELECT * FROM audit_idempotency_key WHERE seq = ? AND digest IS NOT NULL")
    for (const row of seqs.flatMap((seq) => used.all(seq))) {
      const [key, digest] = [blobOf(row, "key_hash"), blobOf(row, "digest")]
      if (key !== undefined && digest !== undefined) clear.run(erasedKeyHash(key, digest), log.id, key)
    }
    writer.prepare("INSERT INTO audit_erasure (log, erased_at) VALUES (?, ?)").run(log.id, now)
    // An erased event's commitment cannot be recomputed: from now on it lies in its bundle as well.
    const refused = table.growth.keepTail(log.id, table.index.sizeOf(log.id))
    if (refused !== undefined) throw broken(refused)
  })
})

const writerOf = (client: ClientConnection): LogWriter => {
  const { filename, table, writer } = client
  const run: Run = (work) =>
    Effect.mapError(attempt(work), (problem) =>
      // A tree that lacks entries takes no change, as it takes no event.
      problem.cause instanceof IntegrityError
        ? new AuditError({
          method: "LogStore.change",
          reason: new SinkRejected({ detail: problem.cause.message, cause: problem.cause })
        })
        : failing("LogStore.change", filename)(problem))
  return {
    ...readerOf(writer, once(() => new LogRows(writer)), run),
    erase: (log, events, now) => eraseRows(client, run, log, events.map(({ row }) => row), now),
    putNote: (log, { keyId, note, size }, now) =>
      run(() => {
        const known = writer.prepare(
          "SELECT 1 AS found FROM audit_checkpoint WHERE log = ? AND size = ? AND key_id = ?"
        )
        if (known.get(log.id, size, keyId) !== undefined) return
        writer.prepare("INSERT INTO audit_checkpoint (log, size, key_id, note, signed_at) VALUES (?, ?, ?, ?, ?)")
          .run(log.id, size, keyId, note, now)
        const refused = table.growth.keepTail(log.id, size)
        if (refused !== undefined) throw broken(refused)
      }),
    stop: (log, detail, now) =>
      run(() => {
        writer.prepare("INSERT OR IGNORE INTO audit_stop (log, detail, stopped_at) VALUES (?, ?, ?)").run(
          log.id,
          detail,
          now
        )
        table.stopped()
      }),
    resume: (log, origin) =>
      run(() => {
        writer.prepare("INSERT INTO audit_origin (log, since, origin) VALUES (?, ?, ?)").run(log.id, log.size, origin)
        writer.prepare("DELETE FROM audit_stop WHERE log = ?").run(log.id)
        table.stopped()
      }),
    hold: (log, holds, now) =>
      run(() => {
        const insert = writer.prepare(
          "INSERT INTO audit_hold (log, name, user_id, event_id, since, before, held_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        for (const hold of holds) insert.run(log.id, ...holdColumns(hold, uuidBytes), now)
      }),
    release: (log, holds) =>
      run(() => {
        const remove = writer.prepare(
          "DELETE FROM audit_hold WHERE log = ? AND name = ? AND user_id IS ? AND event_id IS ? AND since IS ? " +
            "AND before IS ?"
        )
        return holds.reduce((sum, hold) => sum + Number(remove.run(log.id, ...holdColumns(hold, uuidBytes)).changes), 0)
      })
  }
}

/** Empties the write-ahead log, which still has the erased bytes; `false` if a reader held it until the deadline. */
const scrubbing = ({ deadlineMillis, exclusively, filename, transactionOf, writer }: ClientConnection) =>
  Effect.withFiber<boolean, AuditError>((fiber) => {
    if (transactionOf(fiber.context) !== undefined) return Effect.succeed(false)
    const truncate = () => writer.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()
    const step = attempt(() => integerOf(truncate(), "busy")).pipe(
      Effect.flatMap((held) => held === 0 ? Effect.succeed(true) : Effect.fail(busy("a reader holds the log")))
    )
    return Effect.catch(
      untilFree(exclusively(step), deadlineMillis),
      (problem) =>
        problem.cause instanceof Error && problem.cause.message === "a reader holds the log"
          ? Effect.succeed(false)
          : Effect.fail(failing("LogStore.scrub", filename)(problem))
    )
  })

/** Rows that are looked at in one step for logs that grew. */
const grownRows = 8192

/** Builds the store over the client's file. */
export const make: Effect.Effect<LogStore["Service"], never, SqliteClient> = Effect.gen(function*() {
  const client = connectionOf(yield* SqliteClient)
  const { deadlineMillis, filename, reader, transact, transactionOf } = client
  const read = committed(client)
  const writer = writerOf(client)
  return LogStore.of({
    ...read,
    snapshot: snapshotOf(filename, deadlineMillis),
    change: <A, E, R>(name: LogName, f: (writer: LogWriter, log: Log) => Effect.Effect<A, E, R>) =>
      transact(Effect.flatMap(writer.log(name), (log): Effect.Effect<A, E | AuditError, R> => {
        if (log !== undefined) return f(writer, log)
        const reason = new NotFound({ detail: `${name.tenantId} has no log in ${name.env}` })
        return Effect.fail(new AuditError({ method: "LogStore.change", reason }))
      })),
    grown: (since) =>
      Effect.mapError(
        untilFree(
          attempt(() => {
            const from = since?.mark ?? 0
            const end = lastRow(reader)
            const next: Mark = { mark: Math.min(end, from + grownRows) }
            const logs = next.mark === from ? [] : grownIn(reader, from, next.mark)
            return { logs, next, more: next.mark < end }
          }),
          deadlineMillis
        ),
        failing("LogStore.grown", filename)
      ),
    isJoined: Effect.withFiber(({ context }) => Effect.succeed(transactionOf(context) !== undefined)),
    scrub: scrubbing(client)
  })
})

/** The logs of the client's file. */
export const layer: Layer.Layer<LogStore, never, SqliteClient> = Layer.effect(LogStore, make)

/**
 * The logs of a file that is opened for reading only, and never migrated: for verification, proofs and consistency.
 * Whatever would change it is refused.
 */
export const layerReadOnly = (options: ReadOptions): Layer.Layer<LogStore, AuditError> =>
  Layer.effect(
    LogStore,
    Effect.map(openReader(options), (reading) => {
      const refused = readOnly("LogStore", reading)
      return LogStore.of({
        ...committed(reading),
        snapshot: snapshotOf(reading.filename, reading.deadlineMillis),
        change: () => refused,
        grown: () => refused,
        isJoined: Effect.succeed(false),
        scrub: refused
      })
    })
  )
