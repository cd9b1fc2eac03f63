/**
 * Erasing, and legal holds: the parts of the ledger that change what is stored, always with an event that says so.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  AuditError,
  type AuditReason,
  Held,
  IntegrityError,
  InvalidDraft,
  NotFound,
  SinkRejected
} from "../AuditError.ts"
import { DraftSnapshot, idPattern } from "../internal/draft.ts"
import { uuidBytes, uuidText } from "../internal/entropy.ts"
import type { Erasure, HoldSelection, Selection } from "../ledger/Ledger.ts"
import type { LoggingEngine, Receipt } from "../LoggingEngine.ts"
import { RequestContext } from "../RequestContext.ts"
import type { EventTable } from "./eventTable.ts"
import { attempt, type Problem } from "./problem.ts"
import { Ranges } from "./ranges.ts"
import { blobOf, eventFields, integerOf, type Row, stringOf } from "./row.ts"
import { backoff, reasonOf, type SqliteClient } from "./SqliteClient.ts"
import { segmentRows } from "./terms.ts"

/** What the ledger erases from, and records with. */
export interface Store {
  readonly client: SqliteClient["Service"]
  readonly table: EventTable
  readonly engine: LoggingEngine["Service"]
}

/** What erasing needs to know of an event. */
interface Target {
  readonly seq: number
  readonly position: number
}

/** Ranges of positions that one record names at most: about 150 kB of JSON. */
const rangesPerRecord = 8000
/** Rows that are looked at before others may run. */
const stepRows = 4096
/** Records that stay: what was erased, and which log it is. */
const stays = new Set(["audit.erased", "audit.log_created"])

const columns = "seq, position, event_id, recorded_at, body"
const eventIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The facts of a body that selections and holds ask for. */
interface Facts {
  readonly action: unknown
  readonly persons: ReadonlyArray<unknown>
}

const factsOf = (body: Uint8Array): Facts => {
  const { action, subject_ids: subjects, user_id: user } = eventFields(body)
  return { action, persons: [user, ...(Array.isArray(subjects) ? subjects : [])] }
}

const invalid = (path: string, detail: string) => new InvalidDraft({ path, detail })

/** Why a selection cannot be meant, if so. */
const wrong = (selection: HoldSelection & { readonly reason: string }): AuditReason | undefined => {
  const { reason } = selection
  if (typeof reason !== "string" || reason.trim() === "") return invalid("/reason", "must say why")
  if ("eventIds" in selection) {
    const index = selection.eventIds.findIndex((id) => !eventIdPattern.test(id))
    if (index !== -1) return invalid(`/eventIds/${index}`, "must be an event id")
    return selection.eventIds.length === 0 ? invalid("/eventIds", "must name an event") : undefined
  }
  if ("person" in selection) return idPattern.test(selection.person) ? undefined : invalid("/person", "must be an id")
  if ("since" in selection && Number.isNaN(selection.since.getTime())) return invalid("/since", "must be a time")
  return Number.isNaN(selection.before.getTime()) ? invalid("/before", "must be a time") : undefined
}

/** What a selection is, in a record; persons are named by `subject_ids` only where they must be. */
const describe = (selection: HoldSelection) =>
  "eventIds" in selection
    ? { selection: "events" }
    : "person" in selection
    ? { selection: "person" }
    : {
      selection: "time",
      ...("since" in selection ? { since: selection.since.toISOString() } : {}),
      before: selection.before.toISOString()
    }

/** A legal hold as it is stored. */
interface Hold {
  readonly person: string | undefined
  readonly eventId: string | undefined
  readonly since: number | undefined
  readonly before: number | undefined
}

const holdsOf = (selection: HoldSelection): ReadonlyArray<Hold> => {
  const none: Hold = { person: undefined, eventId: undefined, since: undefined, before: undefined }
  if ("eventIds" in selection) return selection.eventIds.map((eventId) => ({ ...none, eventId }))
  if ("person" in selection) return [{ ...none, person: selection.person }]
  const since = "since" in selection ? selection.since.getTime() : undefined
  return [{ ...none, since, before: selection.before.getTime() }]
}

const isHeld = (holds: ReadonlyArray<Hold>, row: Row): boolean => {
  const eventId = uuidText(blobOf(row, "event_id") ?? new Uint8Array(16))
  const recordedAt = integerOf(row, "recorded_at") ?? 0
  const body = blobOf(row, "body")
  const persons = new Set(body === undefined ? [] : factsOf(body).persons)
  return holds.some((hold) =>
    hold.eventId !== undefined
      ? hold.eventId === eventId
      : hold.person !== undefined
      ? persons.has(hold.person)
      : recordedAt >= (hold.since ?? -Infinity) && recordedAt < (hold.before ?? Infinity)
  )
}

export const makeErasure = ({ client, engine, table }: Store) => {
  const { filename, writer } = client
  const failed = (method: string) => (problem: Problem): AuditError | IntegrityError =>
    problem.cause instanceof IntegrityError
      ? problem.cause
      : new AuditError({
        method,
        reason: problem.cause instanceof AuditError ? problem.cause.reason : reasonOf(problem, filename, false)
      })
  /** Synchronous work of one step, with the store's errors. */
  const doing = <A>(method: string, work: () => A) => Effect.mapError(attempt(work), failed(method))
  const refuse = (method: string, reason: AuditReason) => new AuditError({ method, reason })

  const logOf = (method: string, context: RequestContext["Service"]) =>
    doing(method, () => {
      const row = writer.prepare("SELECT id, origin FROM log WHERE tenant_id = ? AND env = ?").get(
        context.tenantId,
        context.env
      )
      const id = integerOf(row, "id")
      if (id === undefined) {
        throw refuse(method, new NotFound({ detail: `${context.tenantId} has no log in ${context.env}` }))
      }
      return id
    })

  /** Goes through the rows that a statement finds, in steps between which others may run. */
  const eachRow = Effect.fnUntraced(function*(
    method: string,
    sql: string,
    params: ReadonlyArray<number | Uint8Array>,
    each: (row: Row) => void
  ): Effect.fn.Return<void, AuditError | IntegrityError> {
    const statement = writer.prepare(`SELECT ${columns} FROM event WHERE seq BETWEEN ? AND ? AND ${sql}`)
    const last = yield* doing(method, () => integerOf(writer.prepare("SELECT max(seq) AS seq FROM event").get(), "seq"))
    for (let from = 1; from <= (last ?? 0); from += stepRows) {
      yield* doing(method, () => {
        for (const row of statement.iterate(from, from + stepRows - 1, ...params)) each(row)
      })
      yield* Effect.yieldNow
    }
  })

  /** The events of a selection that are not erased yet. Throws what `doing` turns into an error. */
  const select = Effect.fnUntraced(function*(
    log: number,
    selection: Selection,
    holds: ReadonlyArray<Hold>
  ): Effect.fn.Return<ReadonlyArray<Target>, AuditError | IntegrityError> {
    const method = "Ledger.erase"
    const targets: Array<Target> = []
    let held = 0
    const take = (row: Row) => {
      if (holds.length > 0 && isHeld(holds, row)) held++
      targets.push({ seq: integerOf(row, "seq") ?? 0, position: integerOf(row, "position") ?? 0 })
    }
    if ("eventIds" in selection) {
      yield* doing(method, () => {
        const bySeq = writer.prepare(`SELECT ${columns} FROM event WHERE seq = ?`)
        for (const eventId of new Set(selection.eventIds)) {
          const found = table.index.findById(eventId)
          if (integerOf(found, "log") !== log) {
            throw refuse(method, new NotFound({ detail: `there is no event ${eventId} in this log` }))
          }
          const row = bySeq.get(integerOf(found, "seq") ?? 0)
          const body = blobOf(row, "body")
          if (row === undefined || body === undefined) continue
          if (stays.has(String(factsOf(body).action))) {
            throw refuse(
              method,
              new SinkRejected({ detail: `event ${eventId} is a record of the log itself and stays` })
            )
          }
          take(row)
        }
      })
    } else if ("person" in selection) {
      const needle = Buffer.from(JSON.stringify(selection.person))
      yield* eachRow(method, "log = ? AND instr(body, ?) > 0", [log, needle], (row) => {
        const body = blobOf(row, "body")
        const facts = body === undefined ? undefined : factsOf(body)
        if (facts?.persons.includes(selection.person) === true && !stays.has(String(facts.action))) take(row)
      })
    } else {
      yield* eachRow(method, "log = ? AND recorded_at < ?", [log, selection.before.getTime()], (row) => {
        const body = blobOf(row, "body")
        if (body !== undefined && !stays.has(String(factsOf(body).action))) take(row)
      })
    }
    if (held > 0) {
      const detail = `${held} of the ${targets.length} events are held: release them first; nothing was erased`
      return yield* refuse(method, new Held({ detail }))
    }
    return targets
  })

  /** Takes content, filter columns, index terms and digests away, in the open transaction. */
  const remove = Effect.fnUntraced(function*(
    log: number,
    targets: ReadonlyArray<Target>,
    now: number
  ): Effect.fn.Return<void, AuditError | IntegrityError> {
    const method = "Ledger.erase"
    const erase = writer.prepare(
      "UPDATE event SET body = NULL, salt = NULL, recorded_at = NULL, erased_at = ? WHERE seq = ?"
    )
    const segments = Map.groupBy(targets, ({ seq }) => Math.floor((seq - 1) / segmentRows))
    for (const rows of segments.values()) {
      yield* doing(method, () => {
        for (const { seq } of rows) erase.run(now, seq)
        table.index.erase(rows.map(({ seq }) => seq))
      })
      yield* Effect.yieldNow
    }
    yield* doing(method, () => {
      const seqs = new Set(targets.map(({ seq }) => seq))
      const clear = writer.prepare("UPDATE idempotency_key SET digest = NULL WHERE log = ? AND key_hash = ?")
      const used = writer.prepare("SELECT key_hash, seq FROM idempotency_key WHERE log = ? AND digest IS NOT NULL")
      for (const row of used.all(log)) {
        const hash = blobOf(row, "key_hash")
        if (hash !== undefined && seqs.has(integerOf(row, "seq") ?? 0)) clear.run(log, hash)
      }
      writer.prepare("INSERT INTO erasure (log, erased_at) VALUES (?, ?)").run(log, now)
      // An erased event's commitment cannot be recomputed: from now on it lies in its bundle as well.
      table.growing.keepTail(log, table.index.sizeOf(log))
    })
  })

  /** Records in the transaction that is open; anything else would not be one with what it records. */
  const record = Effect.fnUntraced(function*(
    method: string,
    snapshot: DraftSnapshot
  ): Effect.fn.Return<Receipt, AuditError, RequestContext> {
    const receipt = yield* engine.log(snapshot)
    if (receipt.durability === "with-transaction") return receipt
    return yield* refuse(method, new SinkRejected({ detail: "the engine records to another store than the ledger's" }))
  })

  const recordErasure = Effect.fnUntraced(function*(
    selection: Selection & { readonly reason: string },
    positions: Ranges
  ): Effect.fn.Return<ReadonlyArray<Receipt>, AuditError, RequestContext> {
    const receipts: Array<Receipt> = []
    const all = positions.all()
    for (let i = 0; i < all.length; i += rangesPerRecord) {
      const part = all.slice(i, i + rangesPerRecord)
      const count = part.reduce((sum, [first, last]) => sum + last - first + 1, 0)
      const draft = { action: "audit.erased", input: { ...describe(selection), reason: selection.reason } }
      const output = { count, positions: part.map(([first, last]) => [first, last]) }
      receipts.push(yield* record("Ledger.erase", DraftSnapshot.own(draft, output)))
    }
    return receipts
  })

  /** Empties the write-ahead log, which still has the erased bytes; `false` if a reader held it until the deadline. */
  const scrub = Effect.fnUntraced(function*(): Effect.fn.Return<boolean, AuditError | IntegrityError> {
    const services = yield* Effect.context<never>()
    if (client.transactionOf(services) !== undefined) return false
    const started = yield* Clock.currentTimeMillis
    const truncate = writer.prepare("PRAGMA wal_checkpoint(TRUNCATE)")
    for (let tries = 0;; tries++) {
      const busy = yield* client.exclusively(doing("Ledger.erase", () => integerOf(truncate.get(), "busy")))
      if (busy === 0) return true
      if ((yield* Clock.currentTimeMillis) - started > client.deadlineMillis) return false
      yield* Effect.sleep(backoff(tries))
    }
  })

  const readHolds = (method: string, log: number) =>
    doing(
      method,
      () =>
        writer.prepare("SELECT user_id, event_id, since, before FROM hold WHERE log = ?").all(log).map((row): Hold => {
          const eventId = blobOf(row, "event_id")
          return {
            person: stringOf(row, "user_id"),
            eventId: eventId === undefined ? undefined : uuidText(eventId),
            since: integerOf(row, "since"),
            before: integerOf(row, "before")
          }
        })
    )

  const erase = Effect.fn("Ledger.erase")(function*(
    selection: Selection & { readonly reason: string }
  ): Effect.fn.Return<Erasure, AuditError | IntegrityError, RequestContext> {
    const problem = wrong(selection)
    if (problem !== undefined) return yield* refuse("Ledger.erase", problem)
    const context = yield* RequestContext
    const now = yield* Clock.currentTimeMillis
    const positions = new Ranges()
    const receipts = yield* client.transact(Effect.gen(function*() {
      const log = yield* logOf("Ledger.erase", context)
      const targets = yield* select(log, selection, yield* readHolds("Ledger.erase", log))
      if (targets.length === 0) return []
      for (const { position } of targets) positions.add(position)
      yield* remove(log, targets, now)
      return yield* recordErasure(selection, positions)
    }))
    return { count: positions.count, positions: positions.all(), receipts, scrubbed: yield* scrub() }
  })

  /** Changes the holds of a selection and records it, in one transaction. */
  const changeHolds = Effect.fnUntraced(function*(
    method: string,
    action: string,
    selection: HoldSelection & { readonly reason: string },
    change: (log: number, hold: Hold, now: number) => number
  ): Effect.fn.Return<Receipt, AuditError | IntegrityError, RequestContext> {
    const problem = wrong(selection)
    if (problem !== undefined) return yield* refuse(method, problem)
    const context = yield* RequestContext
    const now = yield* Clock.currentTimeMillis
    return yield* client.transact(Effect.gen(function*() {
      const log = yield* logOf(method, context)
      const changed = yield* doing(
        method,
        () => holdsOf(selection).reduce((sum, hold) => sum + change(log, hold, now), 0)
      )
      if (changed === 0) return yield* refuse(method, new NotFound({ detail: "there is no hold of this selection" }))
      return yield* record(
        method,
        DraftSnapshot.own(
          {
            action,
            ...("person" in selection ? { subjectIds: [selection.person] } : {}),
            input: { ...describe(selection), reason: selection.reason }
          },
          "eventIds" in selection ? { event_ids: selection.eventIds } : {}
        )
      )
    }))
  })

  const holdColumns = (hold: Hold) =>
    [
      hold.person ?? null,
      hold.eventId === undefined ? null : uuidBytes(hold.eventId),
      hold.since ?? null,
      hold.before ?? null
    ] as const

  const hold = (selection: HoldSelection & { readonly reason: string }) =>
    changeHolds("Ledger.hold", "audit.held", selection, (log, hold, now) => {
      if (hold.eventId !== undefined && integerOf(table.index.findById(hold.eventId), "log") !== log) {
        throw refuse("Ledger.hold", new NotFound({ detail: `there is no event ${hold.eventId} in this log` }))
      }
      writer.prepare("INSERT INTO hold (log, user_id, event_id, since, before, held_at) VALUES (?, ?, ?, ?, ?, ?)")
        .run(log, ...holdColumns(hold), now)
      return 1
    })

  const release = (selection: HoldSelection & { readonly reason: string }) =>
    changeHolds("Ledger.release", "audit.released", selection, (log, hold) =>
      Number(
        writer.prepare(
          "DELETE FROM hold WHERE log = ? AND user_id IS ? AND event_id IS ? AND since IS ? AND before IS ?"
        ).run(log, ...holdColumns(hold)).changes
      ))

  return { erase, hold, release }
}
