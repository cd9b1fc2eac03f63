/**
 * Appends events to one log, in a transaction that holds its lock: whether the log takes events, whether a key or an id
 * was used, and what grows, are rules elsewhere; here they are given the rows that they need.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { AuditError, InvalidInput, SinkRejected } from "../AuditError.ts"
import type { Durability } from "../EventSink.ts"
import type { Appended } from "../internal/committed.ts"
import { decided, hex, Known, type Seen } from "../internal/decided.ts"
import { keyHashes } from "../internal/duplicate.ts"
import { type Entropy, uuidText } from "../internal/entropy.ts"
import { policyText, readPolicy } from "../internal/policies.ts"
import { blobOf, integerOf, stringOf } from "../internal/row.ts"
import { rowOf, type SealedRow } from "../internal/sealedRow.ts"
import { type Head, stoppedBy } from "../ledger/extends.ts"
import { Frontier } from "../ledger/frontier.ts"
import { makeLogCreated } from "../ledger/logCreated.ts"
import { stopReason } from "../ledger/stopReason.ts"
import type { LogName } from "../RequestContext.ts"
import { admits } from "../WritePolicy.ts"
import { appending } from "./append.ts"
import type { Opened } from "./database.ts"
import { LogRows } from "./logRows.ts"

const method = "EventSink.append"
const none = new Uint8Array(0)

/** What became of the events, and how the log is seen after it if the transaction commits. */
export interface Done {
  readonly outcomes: ReadonlyArray<Appended>
  readonly seen: Seen
  readonly policies: ReadonlySet<string>
}

/** How an appender works. */
export interface Options {
  readonly database: Opened
  readonly entropy: Entropy
  readonly deployment: string
  /** Settings of `synchronous_commit` that are accepted. */
  readonly commits: ReadonlyArray<string>
  /** The last head that a signer of this store signed of an origin. */
  readonly signedHead: (origin: string) => Effect.Effect<Head | undefined, AuditError>
}

/** How events are appended in a transaction. */
export interface Appending {
  readonly before: Seen | undefined
  readonly durability: Durability
  readonly millis: number
  /** How long a transaction of this library waits for the log, in milliseconds; the deadline unless given. */
  readonly lockMillis?: number | undefined
}

interface Locked {
  readonly id: number
  readonly size: number
  readonly version: number
  /** The commitment of its last entry, as the head has it. */
  readonly last: Uint8Array
  readonly policy: string | undefined
}

/** Writes to one log at a time. */
export class Appender {
  readonly options: Options
  readonly appending: ReturnType<typeof appending>
  private readonly lock: string

  constructor(options: Options) {
    this.options = options
    const { schema: s } = options.database
    // Who waits for a lock hears of it before the deadline.
    this.appending = appending(s, options.commits, Math.ceil(options.database.deadlineMillis * 0.8))
    this.lock = `WITH t AS MATERIALIZED (SELECT set_config('lock_timeout', ` +
      `coalesce(nullif($3, ''), current_setting('lock_timeout')), true)) ` +
      `SELECT l.id::float8 AS id, h.size::float8 AS size, h.version::float8 AS version, h.last, ` +
      `(SELECT value FROM ${s}.store WHERE name = 'policy') AS policy, ` +
      `current_setting('synchronous_commit') AS synchronous_commit FROM t CROSS JOIN ${s}.log l ` +
      `JOIN ${s}.head h ON h.log = l.id WHERE l.tenant_id = $1 AND l.env = $2 FOR UPDATE OF h`
  }

  /** Takes the lock of a log, once it is free; it lasts for the transaction. */
  private locked(
    { env, tenantId }: LogName,
    { durability, lockMillis = this.options.database.deadlineMillis }: Appending
  ): Effect.Effect<Locked | undefined, SqlError | AuditError> {
    const { commits, database: { run } } = this.options
    // A transaction of the application keeps its own time-out.
    const timeout = durability === "committed" ? String(lockMillis) : ""
    return Effect.flatMap(run(this.lock, [tenantId, env, timeout]), ([row]) => {
      if (row === undefined) return Effect.undefined
      const [id, size, version] = [integerOf(row, "id"), integerOf(row, "size"), integerOf(row, "version")]
      const commit = stringOf(row, "synchronous_commit") ?? ""
      if (commits.includes(commit) && id !== undefined && size !== undefined && version !== undefined) {
        return Effect.succeed({ id, size, version, last: blobOf(row, "last") ?? none, policy: stringOf(row, "policy") })
      }
      const detail = `the transaction would not be durable: synchronous_commit is ${commit}`
      return Effect.fail(new AuditError({ method, reason: new SinkRejected({ detail }) }))
    })
  }

  /** Makes the log of a first event; nothing where another process has just made it. */
  private created(
    { env, policy, tenantId }: SealedRow,
    millis: number
  ): Effect.Effect<{ readonly id: number; readonly origin: string; readonly row: SealedRow } | undefined, SqlError> {
    const { database: { run, schema }, deployment, entropy } = this.options
    const { event, origin } = makeLogCreated({ tenantId, env, policy }, deployment, entropy, millis)
    const inserted = run(
      `INSERT INTO ${schema}.log (tenant_id, env, origin) VALUES ($1, $2, $3) ` +
        "ON CONFLICT (tenant_id, env) DO NOTHING RETURNING id::float8 AS id",
      [tenantId, env, origin]
    )
    return Effect.flatMap(inserted, ([row]) => {
      const id = integerOf(row, "id")
      return id === undefined
        ? Effect.undefined
        : Effect.as(run(`INSERT INTO ${schema}.head (log, size) VALUES ($1, 0)`, [BigInt(id)]), {
          id,
          origin,
          row: rowOf(event)
        })
    })
  }

  /** Looks at a log, of which this process knows nothing, or something has changed. */
  private readonly look = Effect.fnUntraced(function*(
    this: Appender,
    { id, size, version }: Locked,
    name: LogName
  ): Effect.fn.Return<Omit<Seen, "frontier">, AuditError> {
    const { database: { run, schema } } = this.options
    const rows = new LogRows(run, schema, method)
    const log = yield* rows.log(name)
    if (log === undefined) {
      return yield* new AuditError({ method, reason: new SinkRejected({ detail: "the log has no row any more" }) })
    }
    const reason = yield* stopReason(rows, log, size, this.options.signedHead)
    return {
      id,
      version,
      origin: log.origin,
      firstOrigin: log.origins[0]?.origin ?? log.origin,
      stopped: reason === undefined ? undefined : stoppedBy(log.origin, reason),
      isContended: false
    }
  })

  /** Finds what the store holds of the keys and ids of events. */
  private readonly known = Effect.fnUntraced(function*(
    this: Appender,
    { firstOrigin, id }: Omit<Seen, "frontier">,
    rows: ReadonlyArray<SealedRow>
  ): Effect.fn.Return<Known, SqlError> {
    const { database: { run, schema: s } } = this.options
    const known = new Known()
    const hashes = rows.flatMap(({ idempotency }) =>
      idempotency === undefined ? [] : keyHashes(firstOrigin, idempotency)
    )
    const ids = rows.filter(({ repeated }) => repeated).map((row) => uuidText(row.id))
    if (hashes.length > 0) {
      const used = yield* run(
        `SELECT key_hash, digest, position::float8 AS position FROM ${s}.idempotency_key WHERE log = $1 ` +
          "AND key_hash = ANY($2::bytea[])",
        [BigInt(id), hashes]
      )
      for (const row of used) {
        const [hash, position] = [blobOf(row, "key_hash"), integerOf(row, "position")]
        if (hash !== undefined && position !== undefined) {
          known.keys.set(hex(hash), { digest: blobOf(row, "digest"), position })
        }
      }
    }
    if (known.keys.size > 0 || ids.length > 0) {
      const positions = [...known.keys.values()].map(({ position }) => BigInt(position))
      const found = yield* run(
        `SELECT log::float8 AS log, position::float8 AS position, uuid_send(event_id) AS event_id, body FROM ` +
          `${s}.event WHERE (log = $1 AND position = ANY($2::int8[])) OR event_id = ANY($3::text[]::uuid[])`,
        [BigInt(id), positions, ids]
      )
      for (const row of found) known.add(id, row)
    }
    return known
  })

  /** Why events of a policy are not taken, by the text that the store keeps; the first one sets it. */
  private admitted(policy: string, text: string | undefined): Effect.Effect<InvalidInput | undefined, SqlError> {
    const { database: { run, schema } } = this.options
    const answer = admits(readPolicy(text), policy)
    if (answer instanceof InvalidInput) return Effect.succeed(answer)
    if (answer === "yes") return Effect.undefined
    return Effect.flatMap(
      run(`INSERT INTO ${schema}.store VALUES ('policy', $1) ON CONFLICT DO NOTHING RETURNING value`, [
        policyText({ changes: 0, fingerprint: policy })
      ]),
      (made) =>
        made.length > 0
          ? Effect.undefined
          : Effect.flatMap(
            run(`SELECT value FROM ${schema}.store WHERE name = 'policy'`),
            ([row]) => this.admitted(policy, stringOf(row, "value"))
          )
    )
  }

  /** Appends what `take` returns once the lock is held, in the transaction of the fiber. */
  readonly append = Effect.fnUntraced(function*(
    this: Appender,
    first: SealedRow,
    take: () => ReadonlyArray<SealedRow>,
    options: Appending
  ): Effect.fn.Return<Done, SqlError | AuditError> {
    const { before, durability, millis } = options
    let locked = yield* this.locked(first, options)
    const created = locked === undefined ? yield* this.created(first, millis) : undefined
    // Another process made it between the two.
    if (created === undefined) locked ??= yield* this.locked(first, options)
    if (created !== undefined) {
      locked = { id: created.id, size: 0, version: 0, last: none, policy: yield* this.policy() }
    }
    if (locked === undefined) {
      return yield* new AuditError({ method, reason: new SinkRejected({ detail: "the log cannot be made" }) })
    }
    const seen = created !== undefined
      ? {
        id: created.id,
        version: 0,
        origin: created.origin,
        firstOrigin: created.origin,
        stopped: undefined,
        isContended: false
      }
      : before?.version === locked.version
      ? before
      : yield* this.look(locked, first)
    const taken = take()
    const rows = created === undefined ? taken : [created.row, ...taken]
    const done = yield* this.write(locked, seen, rows, { before, durability })
    return created === undefined ? done : { ...done, outcomes: done.outcomes.slice(1) }
  })

  /** Where a log ends now, for who does not hold its lock; nothing where it was changed otherwise than by appending. */
  readonly end = Effect.fnUntraced(function*(
    this: Appender,
    { firstOrigin, id, version }: Seen
  ): Effect.fn.Return<Frontier | undefined, SqlError | AuditError> {
    const { database: { committed, schema: s } } = this.options
    const [row] = yield* committed(
      `SELECT h.size::float8 AS size, h.version::float8 AS version, h.last FROM ${s}.head h JOIN ${s}.log l ` +
        "ON l.id = h.log WHERE h.log = $1 AND l.origin = $2",
      [BigInt(id), firstOrigin]
    )
    const [size, last] = [integerOf(row, "size"), blobOf(row, "last")]
    return size === undefined || last === undefined || integerOf(row, "version") !== version
      ? undefined
      : yield* Frontier.read(new LogRows(committed, s, method), { id }, { size, last }, 0)
  })

  private policy(): Effect.Effect<string | undefined, SqlError> {
    const { database: { run, schema } } = this.options
    return Effect.map(run(`SELECT value FROM ${schema}.store WHERE name = 'policy'`), ([row]) => stringOf(row, "value"))
  }

  private readonly write = Effect.fnUntraced(function*(
    this: Appender,
    { id, last, policy, size, version }: Locked,
    seen: Omit<Seen, "frontier">,
    rows: ReadonlyArray<SealedRow>,
    { before, durability }: { readonly before: Seen | undefined; readonly durability: Durability }
  ): Effect.fn.Return<Done, SqlError | AuditError> {
    const { database: { run, schema } } = this.options
    const known = yield* this.known(seen, rows)
    const policies = new Map<string, InvalidInput | undefined>()
    for (const fingerprint of new Set(rows.flatMap(({ policy }) => policy ?? []))) {
      policies.set(fingerprint, yield* this.admitted(fingerprint, policy))
    }
    const remembered = before?.version === version && before.frontier?.size === size ? before.frontier : undefined
    // What is remembered is of this very log as it is: not of one that a server has lost the end of.
    const isOfLog = remembered !== undefined && Buffer.compare(remembered.last, last) === 0
    const frontier = isOfLog && remembered.reaches(rows.length)
      ? remembered
      : yield* Frontier.read(new LogRows(run, schema, method), seen, { size, last }, rows.length)
    const { added, keys, outcomes } = decided(rows, { ...seen, frontier }, known, policies, durability)
    if (added.length > 0) {
      const { params, text } = this.appending.skipping([
        { log: id, version, size, last, rows: added, keys, puts: frontier.taken() }
      ])
      const moved = yield* run(text, params)
      if (moved.length === 0) {
        return yield* new AuditError({ method, reason: new SinkRejected({ detail: "the log moved under its lock" }) })
      }
    }
    const admitted = new Set([...policies].flatMap(([name, refused]) => refused === undefined ? [name] : []))
    return { outcomes, seen: { ...seen, version, frontier }, policies: admitted }
  })
}
