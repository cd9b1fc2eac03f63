/**
 * The outbox: events of the application's transactions wait in a table, and go into their logs once those have
 * committed. So a transaction that stays open for long holds no log up.
 *
 * An event moves in one transaction, and so exactly once, whichever process moves it; of one log they move in the order
 * in which they came, and one process at a time moves them.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import type { SqlError } from "effect/sql/SqlError"
import {
  AuditError,
  type AuditReason,
  CheckpointInconsistent,
  InvalidInput,
  SinkRejected,
  SinkUnavailable
} from "../AuditError.ts"
import type { Sealed } from "../DatasetEvent.ts"
import type { Evidence } from "../EventSink.ts"
import { eventFields, keysIn, rowProblem } from "../internal/body.ts"
import { Refused } from "../internal/duplicate.ts"
import { uuidText } from "../internal/entropy.ts"
import { readPolicy } from "../internal/policies.ts"
import { blobOf, integerOf, type Row, stringOf } from "../internal/row.ts"
import { rowOf, type SealedRow } from "../internal/sealedRow.ts"
import { telling } from "../internal/telling.ts"
import { stoppedBy } from "../ledger/extends.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { commitment } from "../Seal.ts"
import { termsOf } from "../trail/terms.ts"
import { admits } from "../WritePolicy.ts"
import type { Appender } from "./appender.ts"
import { keyOf, type Told } from "./committer.ts"
import type { Opened } from "./database.ts"
import { hasTable } from "./Migrations.ts"
import { failing, reasonOf } from "./problem.ts"

/** Events that wait in the outbox, as they were at the last look. */
export const waitingEvents = Metric.gauge("audit_outbox_waiting_events", {
  description: "Events of committed transactions that are not in their logs yet"
})
/** How long the first of them has waited, in seconds. */
export const waitingAge = Metric.gauge("audit_outbox_waiting_seconds", {
  description: "How long the first event of the outbox has waited"
})

/** How often other processes' events are looked for, in milliseconds. */
const lookEvery = 1000
/** How long a store that closes waits for what is in the outbox, in milliseconds. */
const closingMillis = 2000
/** How long the lock of a log is waited for, in milliseconds: then the next log has its turn. */
const lockMillis = 20
/** Events that move in one transaction at most, and the bytes of their bodies: an event, whatever it has. */
const stepEvents = 512
const stepBytes = 4_194_304

/** The table, for those who may make it. */
export const table = (s: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${s}.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
    env text NOT NULL, kept_at timestamptz NOT NULL DEFAULT clock_timestamp(), millis bigint NOT NULL,
    event_id uuid NOT NULL, commitment bytea NOT NULL, salt bytea NOT NULL, body bytea NOT NULL, policy text)`,
  `CREATE INDEX IF NOT EXISTS outbox_of_log ON ${s}.outbox (tenant_id, env, id)`
]

/** Whether the store has an outbox. */
export const hasOutbox = ({ run, schema }: Pick<Opened, "run" | "schema">): Effect.Effect<boolean, SqlError> =>
  hasTable(run, schema, "outbox")

/** Makes the table where it is missing, whoever comes first. */
export const prepare = ({ run, schema: s, transact }: Opened, method: string): Effect.Effect<void, AuditError> =>
  Effect.flatMap(
    Effect.mapError(hasOutbox({ run, schema: s }), failing(method)),
    (found) =>
      found ? Effect.void : transact(Effect.mapError(
        Effect.forEach(
          ["SELECT pg_advisory_xact_lock(hashtextextended('effect-audit outbox', 0))", ...table(s)],
          (statement) => run(statement),
          { discard: true }
        ),
        failing(method)
      ))
  )

/** Whether an event may wait: its key or its id must not be known of an earlier one, and records of the log lead it. */
export const mayWait = (event: Sealed): boolean =>
  event.idempotency === undefined && !event.repeated && !/^(?:audit|training_preference)\./.test(event.keys.action)

/** An event may not wait: the store has no policy yet, and the first event that is stored sets it. */
export class NotYet {
  readonly _tag = "NotYet"
}

const logOf = (row: Row): LogName => ({
  tenantId: TenantId.make(stringOf(row, "tenant_id") ?? "", { disableChecks: true }),
  env: Env.make(stringOf(row, "env") ?? "", { disableChecks: true })
})

/** Why events stay in the outbox: from which of them on. */
class Stays {
  readonly at: number
  readonly reason: AuditReason
  constructor(at: number, reason: AuditReason) {
    this.at = at
    this.reason = reason
  }
}

const changed = new SinkRejected({ detail: "an event in the outbox is not what was put there: someone changed it" })

/** What a step has moved, and whether more may wait. */
interface Moved {
  readonly moved: number
  readonly hasMore: boolean
}

/** The first events of a log, as many as fit into a step: one at least, whatever it has. */
const stepOf = (s: string): string =>
  "SELECT id, millis::float8 AS millis, uuid_send(event_id) AS event_id, commitment, salt, body, policy, " +
  "count::float8 AS count FROM (SELECT *, count(*) OVER () AS count, sum(octet_length(body)) OVER (ORDER BY id) - " +
  `octet_length(body) AS before FROM (SELECT * FROM ${s}.outbox WHERE tenant_id = $1 AND env = $2 ` +
  "ORDER BY id LIMIT $3) first) step WHERE before < $4 ORDER BY id"

const tooSlow = new AuditError({
  method: "EventSink.append",
  reason: new SinkUnavailable({ detail: "PostgreSQL did not move them in time" })
})

/** A row that waits, as the row of a sealed event; nothing where it is not what was put there. */
const sealedOf = (name: LogName, row: Row): SealedRow | undefined => {
  const [recordedAtMillis, id] = [integerOf(row, "millis"), blobOf(row, "event_id")]
  const [stored, salt, body] = [blobOf(row, "commitment"), blobOf(row, "salt"), blobOf(row, "body")]
  if (recordedAtMillis === undefined || id === undefined || stored === undefined) return undefined
  if (salt === undefined || body === undefined) return undefined
  if (Buffer.compare(commitment(salt, body), stored) !== 0) return undefined
  const eventId = uuidText(id)
  const facts = { position: -1, eventId, recordedAtMillis }
  if (rowProblem(facts, body, { name, origins: [] }) !== undefined) return undefined
  return {
    ...name,
    recordedAtMillis,
    id,
    commitment: stored,
    salt,
    body,
    terms: termsOf(eventId, keysIn(eventFields(body))),
    policy: stringOf(row, "policy"),
    idempotency: undefined,
    // Someone may have repeated it, past the outbox.
    repeated: true
  }
}

/** Keeps events, and moves them. */
export class Outbox {
  private readonly appender: Appender
  private readonly told: Told
  private more = Latch.makeUnsafe(false)
  /** How often this process has put something there, and how many of these times had moved at the last look. */
  private woken = 0
  private moved = 0
  /** Why events stay, by log: said once. */
  private readonly said = new Map<string, string>()

  constructor(appender: Appender, told: Told) {
    this.appender = appender
    this.told = told
  }

  /** Puts an event into the outbox, in the transaction of the fiber. */
  readonly keep = Effect.fnUntraced(function*(
    this: Outbox,
    event: Sealed
  ): Effect.fn.Return<Evidence, SqlError | AuditError | NotYet> {
    const { commits, database: { run, schema: s } } = this.appender.options
    const { body, commitment, env, policy, recordedAtMillis, salt, tenantId } = rowOf(event)
    event.try()
    const [row] = yield* run(
      `INSERT INTO ${s}.outbox (tenant_id, env, millis, event_id, commitment, salt, body, policy) ` +
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING " +
        "current_setting('synchronous_commit') AS synchronous_commit, " +
        `(SELECT value FROM ${s}.store WHERE name = 'policy') AS policy, ` +
        `(SELECT l.origin FROM ${s}.log l JOIN ${s}.stop x ON x.log = l.id WHERE l.tenant_id = $1 AND l.env = $2) ` +
        `AS origin, (SELECT x.detail FROM ${s}.log l JOIN ${s}.stop x ON x.log = l.id ` +
        "WHERE l.tenant_id = $1 AND l.env = $2) AS stopped",
      [tenantId, env, BigInt(recordedAtMillis), event.eventId, commitment, salt, body, policy ?? null]
    )
    const refused = this.refusalOf(row, policy, commits)
    if (refused instanceof NotYet) return yield* Effect.fail(refused)
    if (refused !== undefined) return yield* new AuditError({ method: "EventSink.append", reason: refused })
    return { eventId: event.eventId, position: undefined, duplicate: false, durability: "with-transaction" }
  })

  /** Why an event may not wait, by what its row says of the store. */
  private refusalOf(
    row: Row | undefined,
    policy: string | undefined,
    commits: ReadonlyArray<string>
  ): AuditReason | NotYet | undefined {
    const commit = stringOf(row, "synchronous_commit") ?? ""
    if (!commits.includes(commit)) {
      const detail = `the transaction would not be durable: synchronous_commit is ${commit}`
      return new SinkRejected({ detail })
    }
    const [origin, detail] = [stringOf(row, "origin"), stringOf(row, "stopped")]
    if (origin !== undefined && detail !== undefined) return stoppedBy(origin, new CheckpointInconsistent({ detail }))
    const answer = policy === undefined ? "yes" : admits(readPolicy(stringOf(row, "policy")), policy)
    return answer instanceof InvalidInput ? answer : answer === "sets" ? new NotYet() : undefined
  }

  /** Something was committed to the outbox. */
  readonly wake = Effect.sync(() => {
    this.woken++
    this.more.openUnsafe()
  })

  /** Moves events, again and again, as long as the store is open. */
  readonly draining: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    this.more = Latch.makeUnsafe(false)
    const { woken } = this
    return Effect.andThen(
      this.guarded(Effect.tap(this.drain, () => Effect.sync(() => this.moved = woken)), undefined),
      Effect.raceFirst(this.more.await, Effect.sleep(lookEvery))
    )
  }))

  /** Moves what this process has put there, as the store closes; what does not move by then moves in another one. */
  readonly closing: Effect.Effect<void> = Effect.suspend(() =>
    this.moved === this.woken ? Effect.void : Effect.timeoutOrElse(
      Effect.interruptible(this.guarded(this.drain, undefined)),
      { duration: closingMillis, orElse: () => Effect.void }
    )
  )

  /** Tells why something was not done, whatever it was: the next look tries it again. */
  private guarded(effect: Effect.Effect<void, SqlError | AuditError | Stays>, name: LogName | undefined) {
    const key = name === undefined ? "" : keyOf(name)
    return Effect.matchCauseEffect(effect, {
      onFailure: ({ reasons }) => {
        if (reasons.some((reason) => reason._tag === "Interrupt")) return Effect.interrupt
        const failure = reasons.find((reason) => reason._tag === "Fail")?.error
        return this.tell(
          key,
          failure === undefined
            ? new SinkUnavailable({ detail: "there is a defect" })
            : failure instanceof Stays || failure instanceof AuditError
            ? failure.reason
            : reasonOf(failure, "PostgreSQL did not move them", false),
          name
        )
      },
      onSuccess: () => Effect.sync(() => void this.said.delete(key))
    })
  }

  /** Moves what waits, log by log: one after another, so that a connection or two do. */
  private readonly drain: Effect.Effect<void, SqlError> = Effect.suspend(() => {
    const { run, schema: s } = this.appender.options.database
    return Effect.flatMap(
      run(
        "SELECT tenant_id, env, count(*)::float8 AS count, " +
          `extract(epoch FROM clock_timestamp() - min(kept_at))::float8 AS age FROM ${s}.outbox ` +
          "GROUP BY tenant_id, env ORDER BY min(id)"
      ),
      (logs) =>
        Effect.andThen(
          this.measure(logs),
          Effect.forEach(logs.map(logOf), (name) => this.guarded(this.drainLog(name), name), { discard: true })
        )
    )
  })

  private measure(logs: ReadonlyArray<Row>): Effect.Effect<void> {
    const numbers = (name: string) => logs.map((row) => Number(row[name]))
    return Effect.andThen(
      telling(Metric.update(waitingEvents, numbers("count").reduce((sum, count) => sum + count, 0))),
      telling(Metric.update(waitingAge, Math.max(0, ...numbers("age"))))
    )
  }

  /** Moves what waits of a log, a step at a time. */
  private readonly drainLog = (name: LogName): Effect.Effect<void, SqlError | AuditError | Stays> =>
    Effect.flatMap(
      // Longer than any lock is waited for: what holds it up is the server, or the pool of connections.
      Effect.timeoutOrElse(Effect.interruptible(this.step(name, stepEvents)), {
        duration: this.appender.options.database.deadlineMillis * 2,
        orElse: () => Effect.fail(tooSlow)
      }),
      ({ hasMore, moved }) => {
        if (moved > 0) this.told(new Set([keyOf(name)]))
        return hasMore ? this.drainLog(name) : Effect.void
      }
    )

  /** Says why events stay, once. */
  private tell(key: string, reason: AuditReason, name: LogName | undefined): Effect.Effect<void> {
    // Someone has its lock: its turn comes.
    if (reason._tag === "SinkTimeout" || this.said.get(key) === reason.message) return Effect.void
    this.said.set(key, reason.message)
    const names = { tenant: name?.tenantId ?? "", env: name?.env ?? "", reason: reason._tag }
    return telling(Effect.annotateLogs(Effect.logError(`Events wait in the outbox: ${reason.message}`), names))
  }

  /** Moves the first events of a log: those before one that is refused, if one is. */
  private readonly step = (name: LogName, limit: number): Effect.Effect<Moved, SqlError | AuditError | Stays> =>
    Effect.catch(
      this.move(name, limit),
      (error) => error instanceof Stays && error.at > 0 ? this.step(name, error.at) : Effect.fail(error)
    )

  /** Moves the first events of a log, all of them or none, unless another process does so. */
  private readonly move = (name: LogName, limit: number): Effect.Effect<Moved, SqlError | AuditError | Stays> => {
    const { inTransaction, run, schema: s } = this.appender.options.database
    return inTransaction(Effect.gen({ self: this }, function*() {
      const [lock] = yield* run("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS mine", [
        `effect-audit outbox ${s} ${keyOf(name)}`
      ])
      if (lock?.["mine"] !== true) return { moved: 0, hasMore: false }
      const found = yield* run(
        stepOf(s),
        [name.tenantId, name.env, limit, stepBytes]
      )
      const rows: Array<SealedRow> = []
      for (const row of found) {
        const sealed = sealedOf(name, row)
        if (sealed === undefined) return yield* Effect.fail(new Stays(rows.length, changed))
        rows.push(sealed)
      }
      const [first] = rows
      if (first === undefined) return { moved: 0, hasMore: false }
      const millis = yield* Clock.currentTimeMillis
      const options = { before: undefined, durability: "committed", lockMillis, millis } as const
      const { outcomes } = yield* this.appender.append(first, () => rows, options)
      for (const [at, outcome] of outcomes.entries()) {
        if (outcome instanceof Refused) return yield* Effect.fail(new Stays(at, outcome.reason))
      }
      yield* run(`DELETE FROM ${s}.outbox WHERE id = ANY($1::int8[])`, [found.map(({ id }) => id)])
      return { moved: rows.length, hasMore: (integerOf(found[0], "count") ?? 0) > rows.length || rows.length === limit }
    }))
  }
}
