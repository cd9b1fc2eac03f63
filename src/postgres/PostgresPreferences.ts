/**
 * Training preferences in PostgreSQL.
 *
 * Look-ups are cached (`OptOuts`): a change is seen at once where it was made, within a second in other processes.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type { AuditError } from "../AuditError.ts"
import { keepsDeadline } from "../internal/deadline.ts"
import { elapsed } from "../internal/elapsed.ts"
import { nextTurn } from "../internal/nextTurn.ts"
import { OptOuts } from "../internal/optOuts.ts"
import { listMethod, preferencesOf } from "../internal/preferenceRows.ts"
import { integerOf, stringOf } from "../internal/row.ts"
import type { LogName } from "../RequestContext.ts"
import {
  type Answer,
  type Preference,
  type Question,
  type Subject,
  TrainingPreferences,
  type Unavailable
} from "../TrainingPreferences.ts"
import { Database, type Opened, type Run } from "./database.ts"
import { failing, reasonOf } from "./problem.ts"

/** Subjects that are remembered: some 10 MB. */
const mostRemembered = 100_000

const keyOf = ({ env, tenantId, userId }: Subject): string => `${tenantId}/${env}/${userId ?? ""}`

/**
 * Opt-outs that were set, or taken back, in transactions which may not have ended, by the number of the transaction:
 * they hold from then on, and until the transaction is known to have ended.
 */
class Leaving {
  private readonly database: Opened
  private readonly transactions = new Map<string, Set<string>>()
  private readonly changed = new WeakSet<object>()

  constructor(database: Opened) {
    this.database = database
  }

  /** A preference is being changed in a transaction: what it reads is not what others see. */
  change(transaction: object): void {
    this.changed.add(transaction)
  }

  hasChanged(transaction: object): boolean {
    return this.changed.has(transaction)
  }

  /** An opt-out is being set in the transaction of the fiber, or taken back. */
  readonly begin = (subject: Subject): Effect.Effect<string, SqlError> =>
    Effect.map(
      this.database.run("SELECT pg_current_xact_id()::text AS xid"),
      ([row]) => {
        const xid = stringOf(row, "xid") ?? "0"
        const key = keyOf(subject)
        this.transactions.set(key, (this.transactions.get(key) ?? new Set()).add(xid))
        return xid
      }
    )

  get isEmpty(): boolean {
    return this.transactions.size === 0
  }

  /** A transaction has ended; others may be changing the same. */
  end(subject: Subject, xid: string): void {
    const key = keyOf(subject)
    const xids = this.transactions.get(key)
    xids?.delete(xid)
    if (xids?.size === 0) this.transactions.delete(key)
  }

  private readonly isOpen = (subject: Subject, xid: string): Effect.Effect<boolean, SqlError> =>
    Effect.map(this.database.run("SELECT pg_xact_status($1::text::xid8) AS status", [xid]), ([row]) => {
      const isOpen = stringOf(row, "status") === "in progress"
      if (!isOpen) this.end(subject, xid)
      return isOpen
    })

  /** Whether any of some subjects is leaving; those whose transactions have ended are not any more. */
  readonly has = (subjects: ReadonlyArray<Subject>): Effect.Effect<Subject | undefined, SqlError> => {
    if (this.transactions.size === 0) return Effect.undefined
    const leaving = subjects.filter((subject) => this.transactions.has(keyOf(subject)))
    if (leaving.length === 0) return Effect.undefined
    return Effect.map(
      Effect.forEach(leaving, (subject) =>
        Effect.map(
          Effect.forEach([...this.transactions.get(keyOf(subject)) ?? []], (xid) => this.isOpen(subject, xid)),
          (open) => open.includes(true)
        )),
      (open) => leaving.find((_, at) => open[at])
    )
  }
}

const listing =
  ({ committed, schema: s }: Opened) =>
  ({ env, tenantId }: LogName): Effect.Effect<ReadonlyArray<Preference>, AuditError> =>
    Effect.flatMap(
      Effect.mapError(
        committed(
          `SELECT tenant_id, env, user_id, training_allowed FROM ${s}.preference WHERE tenant_id = $1 AND env = $2 ` +
            "ORDER BY user_id COLLATE \"C\"",
          [tenantId, env]
        ),
        failing(listMethod)
      ),
      (rows) => preferencesOf(rows, "the store")
    )

/** Reads at which version each of some subjects has opted out or not, and how isolated the reading transaction is. */
const readOptOuts = (run: Run, s: string, subjects: ReadonlyArray<Subject>) =>
  Effect.map(
    run(
      "SELECT current_setting('transaction_isolation') AS isolation, v.version::text AS version, w.n::int4 AS n " +
        `FROM ${s}.preference_version v LEFT JOIN (` +
        "unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w(tenant_id, env, user_id, n) " +
        `JOIN ${s}.preference p ON p.tenant_id = w.tenant_id AND p.env = w.env AND p.user_id = w.user_id AND ` +
        "NOT p.training_allowed) ON true",
      [
        subjects.map(({ tenantId }) => tenantId),
        subjects.map(({ env }) => env),
        subjects.map(({ userId }) => userId ?? "")
      ]
    ),
    (rows) => {
      const out = new Set(rows.map((row) => integerOf(row, "n")))
      return {
        version: stringOf(rows[0], "version"),
        isolation: stringOf(rows[0], "isolation"),
        read: subjects.map((subject, at) => [subject, out.has(at + 1)] as const)
      }
    }
  )

/** What is read at once: whether subjects have opted out, and at which version. */
interface Load {
  readonly subjects: Map<string, Subject>
  readonly done: Deferred.Deferred<void, SqlError>
}

/** Reads of whom it is not remembered whether they have opted out: what is asked in one turn is one statement. */
class Loader {
  private readonly database: Opened
  private readonly optOuts: OptOuts
  private next: Load | undefined

  constructor(database: Opened, optOuts: OptOuts) {
    this.database = database
    this.optOuts = optOuts
  }

  private readonly run = ({ done, subjects }: Load, now: number): Effect.Effect<void> => {
    const { committed, schema } = this.database
    const reading = Effect.map(
      readOptOuts(committed, schema, [...subjects.values()]),
      ({ read, version }) => this.optOuts.learn(version, read, now)
    )
    return Effect.flatMap(Effect.exit(reading), (exit) => Effect.asVoid(Deferred.done(done, exit)))
  }

  /** Reads of subjects, together with what others ask for in the same turn. */
  readonly load = (subjects: ReadonlyArray<Subject>, now: number): Effect.Effect<void, SqlError> =>
    Effect.suspend(() => {
      const known = this.next
      const load = known ?? { subjects: new Map<string, Subject>(), done: Deferred.makeUnsafe<void, SqlError>() }
      for (const subject of subjects) load.subjects.set(keyOf(subject), subject)
      if (known !== undefined) return Deferred.await(load.done)
      this.next = load
      const run = Effect.andThen(
        nextTurn,
        Effect.suspend(() => {
          this.next = undefined
          return this.run(load, now)
        })
      )
      // Apart from who asked first: others wait for it as well.
      return Effect.andThen(Effect.forkDetach(this.database.outside(run)), Deferred.await(load.done))
    })
}

const refusalOf = ({ userId }: Subject): Answer => userId === undefined ? "tenant_opt_out" : "user_opt_out"

/** Says who has opted out, from what is remembered or read. */
const lookingUp = (database: Opened, optOuts: OptOuts, leaving: Leaving): TrainingPreferences["Service"]["lookup"] => {
  const loader = new Loader(database, optOuts)
  const unavailable = (error: SqlError): Unavailable => ({
    detail: reasonOf(error, "PostgreSQL cannot be asked for preferences", false).message
  })
  const late = Effect.fail<Unavailable>({
    detail: `PostgreSQL did not say who has opted out within ${database.deadlineMillis} ms`
  })
  const answer = (question: Question, now: number): Effect.Effect<Answer, SqlError> =>
    Effect.suspend(() => {
      const unknown = optOuts.unknown(question)
      return unknown.length === 0 && !optOuts.isDue(now)
        ? Effect.succeed(optOuts.answer(question, now))
        : Effect.andThen(loader.load(unknown, now), answer(question, now))
    })
  // What a transaction asks is read by its own connection: all others may be taken by transactions that ask as well.
  const inside = (question: Question, subjects: ReadonlyArray<Subject>, transaction: object, now: number) =>
    Effect.suspend(() =>
      !optOuts.isDue(now) && optOuts.knows(question)
        ? Effect.succeed(optOuts.answer(question, now))
        : Effect.flatMap(readOptOuts(database.run, database.schema, subjects), ({ isolation, read, version }) => {
          // An older snapshot may not have what others committed since.
          if (isolation !== "read committed") return answer(question, now)
          if (!leaving.hasChanged(transaction)) optOuts.learn(version, read, now)
          const out = read.find(([, isOut]) => isOut)
          return Effect.succeed(out === undefined ? "allowed" : refusalOf(out[0]))
        })
    )
  const asked = (question: Question, now: number): Effect.Effect<Answer, Unavailable> => {
    const { env, tenantId, userIds } = question
    const subjects: ReadonlyArray<Subject> = [
      { tenantId, env },
      ...userIds.map((userId) => ({ tenantId, env, userId }))
    ]
    const answered = Effect.withFiber((fiber) =>
      Effect.flatMap(leaving.has(subjects), (subject) => {
        if (subject !== undefined) return Effect.succeed(refusalOf(subject))
        const transaction = database.transactionOf(fiber.context)
        return transaction === undefined ? answer(question, now) : inside(question, subjects, transaction, now)
      })
    )
    return Effect.timeoutOrElse(Effect.interruptible(Effect.mapError(answered, unavailable)), {
      duration: database.deadlineMillis,
      orElse: () => late
    })
  }
  // What is remembered is said at once: this is asked for every event.
  return (question) =>
    Effect.flatMap(
      elapsed,
      (now) =>
        leaving.isEmpty && !optOuts.isDue(now) && optOuts.knows(question)
          ? Effect.succeed(optOuts.answer(question, now))
          : asked(question, now)
    )
}

/** Builds the preferences over the database. */
export const make: Effect.Effect<TrainingPreferences["Service"], never, Database> = Effect.gen(function*() {
  const database = yield* Database
  const { run, schema: s, sql, transact } = database
  const leaving = new Leaving(database)
  // Whatever is asked is read before it is answered.
  const rows = { version: () => undefined, isOptedOut: () => true, openTransaction: () => undefined }
  const optOuts = new OptOuts(rows, mostRemembered)
  const set = ({ env, tenantId, trainingAllowed, userId }: Preference) =>
    Effect.asVoid(
      run(
        `INSERT INTO ${s}.preference VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, env, user_id) ` +
          "DO UPDATE SET training_allowed = excluded.training_allowed",
        [tenantId, env, userId ?? "", trainingAllowed]
      )
    )
  const isOut = ({ env, tenantId, userId }: Preference) =>
    Effect.map(
      run(
        `SELECT 1 FROM ${s}.preference WHERE tenant_id = $1 AND env = $2 AND user_id = $3 AND NOT training_allowed ` +
          "FOR UPDATE",
        [tenantId, env, userId ?? ""]
      ),
      (rows) => rows.length > 0
    )
  // Until its transaction ends, the stricter of before and after holds.
  const setting = (preference: Preference, begun: (xid: string) => void) =>
    Effect.withFiber((fiber) => {
      const transaction = database.transactionOf(fiber.context)
      if (transaction !== undefined) leaving.change(transaction)
      return Effect.flatMap(
        preference.trainingAllowed ? isOut(preference) : Effect.succeed(true),
        (isStricter) =>
          isStricter
            ? Effect.andThen(Effect.map(leaving.begin(preference), begun), set(preference))
            : set(preference)
      )
    })
  const service = TrainingPreferences.of({
    lookup: lookingUp(database, optOuts, leaving),
    change: (preference, record) =>
      Effect.withFiber((fiber) => {
        const isInside = database.transactionOf(fiber.context) !== undefined
        let begun: string | undefined
        const ended = Effect.sync(() => {
          optOuts.forget()
          if (begun !== undefined) leaving.end(preference, begun)
        })
        const changing = setting(preference, (xid) => void (begun = xid)).pipe(
          Effect.mapError(failing("TrainingPreferences.change")),
          Effect.andThen(record),
          Effect.tap(Effect.catchDefect(sql.afterCommit(ended), () => Effect.void))
        )
        // Inside of another transaction, which goes on, its end is asked for, unless it tells of its commit.
        return Effect.ensuring(transact(changing), isInside ? Effect.sync(() => optOuts.forget()) : ended)
      }),
    list: listing(database)
  })
  keepsDeadline(service, database.deadlineMillis)
  return service
})

/** Training preferences in the database. */
export const layer: Layer.Layer<TrainingPreferences, never, Database> = Layer.effect(TrainingPreferences, make)
