/**
 * Recomputes a store: every commitment, leaf, subtree and signed head, in one pass over the rows of a snapshot.
 *
 * Memory is bounded: a bundle for each of at most 2,048 logs (more take another pass), and a table of event ids.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { AuditError, type AuditReason, InvalidInput, NotFound } from "../AuditError.ts"
import { EventId } from "../DatasetEvent.ts"
import { eventFields } from "../internal/body.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { uuidText } from "../internal/entropy.ts"
import { Env, type LogName, TenantId } from "../RequestContext.ts"
import { LogCheck } from "./check.ts"
import { stated } from "./Checkpoint.ts"
import { signedClaim } from "./claims.ts"
import { ownUntil } from "./extends.ts"
import type { Fault, Finding } from "./Finding.ts"
import type { LogReader, LogRef, LogStore, Problem, Snapshot, StoredEvent } from "./LogStore.ts"
import type { SignedOrigin } from "./Signer.ts"
import type { Vkeys } from "./SigningKey.ts"
import { hashBytes, runLength } from "./treeReader.ts"

/** What to verify. */
export interface VerifyOptions {
  /** One log; all of them unless given. */
  readonly log?: LogName | undefined
  /** The signer's verifier keys, or the log's own. Without them no signature is checked. */
  readonly vkey?: Vkeys | undefined
  /** A checkpoint that someone kept: the log must extend it. */
  readonly known?: string | undefined
  /**
   * What a signer signed of the logs of this store, all of it: they must be there, and extend it. The ledger's own
   * signer's unless given.
   */
  readonly signed?: ReadonlyArray<SignedOrigin> | undefined
}

/** Logs that are checked in one pass. */
const logsPerPass = 2048
/** Checkpoints that are read at a time. */
const notesPerStep = 64
/** Events that come twice whose other position is looked for: each look reads the whole store. */
const maxLooks = 16
/** Ids that are compared with each other: half the places of a table of 64 MiB. */
const maxIds = 4_194_304

/** Finds ids that come twice, among as many as fit into bounded memory: then it begins anew. */
class IdTable {
  private readonly places: Float64Array
  private readonly mask: number
  private used = 0
  constructor(ids: number) {
    let size = 1024
    while (size < Math.min(ids, maxIds) * 2) size *= 2
    this.places = new Float64Array(size)
    this.mask = size - 1
  }
  /** Whether the id was there before; 53 bits of it are compared. */
  seen(id: Uint8Array): boolean {
    if (this.used * 2 > this.places.length) {
      this.places.fill(0)
      this.used = 0
    }
    const bytes = Buffer.from(id.buffer, id.byteOffset, id.length)
    const value = bytes.readUInt32LE(12) * 2_097_152 + (bytes.readUInt32LE(8) >>> 12) * 2 + 1
    let at = bytes.readUInt32LE(12) & this.mask
    for (; this.places[at] !== 0; at = (at + 1) & this.mask) if (this.places[at] === value) return true
    this.places[at] = value
    this.used++
    return false
  }
}

const refuse = (reason: AuditReason) => new AuditError({ method: "Ledger.verify", reason })

/** The log that a checkpoint says it is of; `undefined` if it is no checkpoint. */
const originOf = (note: string): string | undefined =>
  Result.match(stated(note), { onFailure: () => undefined, onSuccess: ({ origin }) => origin })

/** All logs, or the one of a name if there is one. */
const logsOf = (reader: LogReader, only: LogName | undefined): Effect.Effect<ReadonlyArray<LogRef>, AuditError> =>
  only === undefined ? reader.logs : Effect.map(reader.log(only), (log) => log === undefined ? [] : [log])

/** The logs to verify, or why the call is wrong. */
const chosen = Effect.fnUntraced(function*(
  snapshot: Snapshot,
  { known, log }: VerifyOptions
): Effect.fn.Return<ReadonlyArray<LogRef>, AuditError> {
  const logs = yield* logsOf(snapshot, log)
  if (log !== undefined && logs.length === 0) {
    return yield* refuse(new NotFound({ detail: `${log.tenantId} has no log in ${log.env}` }))
  }
  if (known === undefined) return logs
  const origin = originOf(known)
  if (origin === undefined) return yield* refuse(new InvalidInput({ path: "/known", detail: "it is not a checkpoint" }))
  return logs
})

/** The name of the log that an event says it is of. */
const nameIn = (body: Uint8Array | undefined): LogName | undefined => {
  const { env, tenantId } = body === undefined ? {} : eventFields(body)
  return typeof tenantId === "string" && typeof env === "string"
    ? { tenantId: TenantId.make(tenantId, { disableChecks: true }), env: Env.make(env, { disableChecks: true }) }
    : undefined
}

/** One verification of a snapshot. Owns what it remembers of the rows that went by. */
class Verification {
  private readonly snapshot: Snapshot
  private readonly options: VerifyOptions
  private readonly signedOf: (origin: string) => SignedOrigin | undefined
  /** Logs that are in the store, and others that were reported. */
  private readonly known: Set<number>
  private checks = new Map<number, LogCheck>()
  private ids: IdTable
  private looks = 0
  private findings: Array<Finding> = []

  constructor(
    snapshot: Snapshot,
    logs: ReadonlyArray<LogRef>,
    options: VerifyOptions,
    signedOf: (origin: string) => SignedOrigin | undefined
  ) {
    this.snapshot = snapshot
    this.options = options
    this.signedOf = signedOf
    this.known = new Set(logs.map(({ id }) => id))
    this.ids = new IdTable(snapshot.rows)
  }

  begin(pass: ReadonlyArray<LogRef>): void {
    this.checks = new Map(pass.map((log) => [log.id, this.checkOf(log)]))
    this.ids = new IdTable(this.snapshot.rows)
  }

  private checkOf(log: LogRef): LogCheck {
    const { known, log: only, vkey } = this.options
    const check = new LogCheck(log, { vkey, report: (finding) => this.findings.push(finding) })
    for (const { origin } of log.origins) {
      const signed = this.signedOf(origin)
      // What goes on as another log was found to lack entries then, or to have others: what was signed of it since
      // covers what is left.
      const next = log.origins[log.origins.findIndex((one) => one.origin === origin) + 1]
      const isLost = signed?.isEnded === true && (signed.head.size > (ownUntil(log.origins, origin) ?? 0) ||
        (next !== undefined && this.signedOf(next.origin) !== undefined))
      if (signed !== undefined && !isLost) check.claim(signedClaim(signed.head, origin, log))
    }
    if (known !== undefined && (only !== undefined || log.origins.some(({ origin }) => origin === originOf(known)))) {
      check.claimNote(known, "the given checkpoint", "given")
    }
    return check
  }

  /** Logs that were signed and are not in the store any more, and guards that are gone: once for the whole store. */
  reportStore(
    logs: ReadonlyArray<LogRef>,
    signed: ReadonlyArray<SignedOrigin>,
    problems: ReadonlyArray<Problem>
  ): void {
    const { known, log: only } = this.options
    const there = new Set(logs.flatMap(({ origins }) => origins.map(({ origin }) => origin)))
    const lost: Array<readonly [LogName | undefined, string]> = []
    for (const { head, isEnded, name, origin } of signed) {
      if (there.has(origin) || isEnded) continue
      if (only !== undefined && (name?.tenantId !== only.tenantId || name.env !== only.env)) continue
      lost.push([name, `the signer signed ${origin} at size ${head.size}, and the log is not in the store`])
    }
    const given = known === undefined || only !== undefined ? undefined : originOf(known)
    if (given !== undefined && !there.has(given) && !signed.some((each) => each.origin === given && !each.isEnded)) {
      lost.push([undefined, `the given checkpoint is of ${given}, and the log is not in the store`])
    }
    for (const [name, detail] of lost) this.reportAt("missing", name, detail)
    for (const { detail, fault } of problems) this.reportAt(fault, only, detail)
  }

  private reportAt(fault: Fault, log: LogName | undefined, detail: string): void {
    this.findings.push({ _tag: "Fault", fault, log, position: undefined, eventId: undefined, detail })
  }

  /** What was found since it was last asked. */
  taken(): ReadonlyArray<Finding> {
    const found = this.findings
    this.findings = []
    return found
  }

  /** Takes rows, beginning at one of them; waits where what is stored of a bundle is to be read. */
  take(events: ReadonlyArray<StoredEvent>, at = 0): Effect.Effect<void, AuditError> {
    return Effect.suspend(() => {
      for (let i = at; i < events.length; i++) {
        const event = events[i]!
        const check = this.checks.get(event.log)
        if (check === undefined) {
          if (!this.known.has(event.log)) this.reportStray(event)
          continue
        }
        if (check.isBefore(event)) {
          return Effect.andThen(this.finish(check, runLength, event.position), this.take(events, i))
        }
        const isTwin = event.eventId.length === 16 && this.ids.seen(event.eventId)
        check.add(event)
        if (isTwin) return Effect.andThen(this.reportTwins(check, event), this.take(events, i + 1))
      }
      return Effect.void
    })
  }

  private readNotes(check: LogCheck, size: number): Effect.Effect<void, AuditError> {
    const after = check.notesWanted(size)
    return after === undefined ? Effect.void : Effect.flatMap(
      this.snapshot.notes(check.log, { after, limit: notesPerStep }),
      (notes) => {
        check.addNotes(notes, notesPerStep)
        return this.readNotes(check, size)
      }
    )
  }

  private finish(check: LogCheck, count: number, until: number): Effect.Effect<void, AuditError> {
    const runs = check.wanted(count)
    return Effect.andThen(
      this.readNotes(check, (runs[0]?.first ?? 0) + count),
      Effect.map(this.snapshot.tiles(check.log, runs), (stored) => check.finish(count, stored, until))
    )
  }

  /** No more rows: checks what bundles hold beyond them, and sums each log up. */
  readonly end = Effect.suspend(() => Effect.forEach(this.checks.values(), (check) => this.endOf(check)))

  private endOf = Effect.fnUntraced(function*(
    this: Verification,
    check: LogCheck
  ): Effect.fn.Return<void, AuditError> {
    let end = check.size
    for (let first = check.wanted(0)[0]?.first ?? 0;; first += runLength) {
      const [bundle] = yield* this.snapshot.tiles(check.log, [{ tier: 0, first, count: runLength }])
      const kept = Math.floor((bundle?.length ?? 0) / hashBytes)
      if (kept === 0) break
      end = Math.max(end, first + kept)
    }
    check.ends(end)
    for (let left = check.left(end); left > 0; left = check.left(end)) yield* this.finish(check, left, check.size)
    yield* this.readNotes(check, Infinity)
    check.summarize(end)
  })

  /** A row whose log is not there: someone removed the log's row, or gave the event to another. Once for each log. */
  private reportStray({ body, log, position }: StoredEvent): void {
    this.known.add(log)
    this.findings.push({
      _tag: "Fault",
      fault: "missing",
      log: nameIn(body),
      position,
      eventId: undefined,
      detail: "the log of this event is not in the store"
    })
  }

  private reportTwins(check: LogCheck, event: StoredEvent): Effect.Effect<void, AuditError> {
    const eventId = EventId.make(uuidText(event.eventId), { disableChecks: true })
    const fault = (where: string) =>
      check.fault("duplicated", event.position, eventId, `the same event is at ${where} as well`)
    // After a few looks, that the id was there before must do.
    if (this.looks++ >= maxLooks) return Effect.sync(() => fault("an earlier position"))
    return Effect.map(this.snapshot.find(check.log, [eventId]), ([first, second]) => {
      if (first !== undefined && second !== undefined) fault(`position ${first.position}`)
    })
  }
}

const passesOf = (logs: ReadonlyArray<LogRef>): ReadonlyArray<ReadonlyArray<LogRef>> => {
  const passes: Array<ReadonlyArray<LogRef>> = []
  for (let i = 0; i < logs.length; i += logsPerPass) passes.push(logs.slice(i, i + logsPerPass))
  // Events without any log are looked at as well.
  return passes.length === 0 ? [[]] : passes
}

/** Verifies a store as it is when it begins, against what the signer knows of its logs. */
export const verifying =
  (store: LogStore["Service"], origins: Effect.Effect<ReadonlyArray<SignedOrigin>, AuditError>) =>
  (options: VerifyOptions = {}): Stream.Stream<Finding, AuditError> =>
    Stream.unwrap(Effect.gen(function*() {
      // Before the store is read: a head that is signed later may cover entries that this reading does not see.
      const signed = options.signed ?? (yield* origins)
      const byOrigin = new Map(signed.map((one) => [one.origin, one]))
      const snapshot = yield* store.snapshot
      const logs = yield* chosen(snapshot, options)
      const verification = new Verification(snapshot, logs, options, (origin) => byOrigin.get(origin))
      verification.reportStore(yield* logsOf(snapshot, options.log), signed, yield* snapshot.problems)
      const clock = yield* Clock.Clock
      const started = elapsedMillis(clock)
      const passes = passesOf(logs)
      // Of one log nothing is said of how much there is of others.
      const only = options.log === undefined ? undefined : yield* snapshot.log(options.log)
      const each = options.log === undefined ? snapshot.rows : only?.size ?? 0
      const total = each * passes.length
      const progress = (entries: number): ReadonlyArray<Finding> => {
        const seconds = Math.max(elapsedMillis(clock) - started, 1) / 1000
        const entriesPerSecond = Math.round(entries / seconds)
        return [...verification.taken(), {
          _tag: "Progress",
          entries: Math.min(entries, total),
          total,
          entriesPerSecond
        }]
      }
      const pass = (logs: ReadonlyArray<LogRef>, before: number) => {
        const rows = snapshot.scan(options.log === undefined ? undefined : logs[0]).pipe(
          Stream.mapEffect(({ events, seen }) => Effect.map(verification.take(events), () => progress(before + seen)))
        )
        const end = Stream.fromEffect(Effect.map(verification.end, () => progress(before + each)))
        return Stream.unwrap(Effect.sync(() => {
          verification.begin(logs)
          return Stream.concat(rows, end)
        }))
      }
      return Stream.fromIterable(passes.map((logs, index) => pass(logs, index * each))).pipe(
        Stream.flatMap((pass) => pass),
        Stream.flatMap(Stream.fromIterable)
      )
    }))
