/**
 * Who has opted out, remembered for a while: a rule over what a medium reads.
 *
 * Every half second a look-up asks for the number of changes first, and forgets what is remembered if there was one. If
 * that cannot be read, nothing is said from memory: what is remembered is no consent.
 */
import type { Answer, Question, Subject } from "../TrainingPreferences.ts"

/** What is read; committed facts. Each may throw. */
export interface PreferenceRows {
  /** Another value after every change that was committed. */
  readonly version: () => unknown
  readonly isOptedOut: (subject: Subject) => boolean
  /** The transaction that is open now, whoever's it is. */
  readonly openTransaction: () => object | undefined
}

const ttlMillis = 500
const maxCached = 10_000

const keyOf = ({ env, tenantId, userId }: Subject) => `${tenantId}/${env}/${userId ?? ""}`

/** Remembers opt-outs, and those that are not committed yet. Throws what reading throws. */
export class OptOuts {
  private readonly rows: PreferenceRows
  private readonly cache = new Map<string, boolean>()
  private cachedVersion: unknown
  private checkedAt = -Infinity
  /**
   * Opt-outs in transactions that have not ended, which the rows do not show: they hold for every event until then. An
   * event that records a change is decided by the stricter of before and after.
   */
  private readonly leaving = new Map<string, object | undefined>()

  /** Remembers at most so many subjects. */
  private readonly most: number

  constructor(rows: PreferenceRows, most = maxCached) {
    this.rows = rows
    this.most = most
  }

  private refresh(now: number): void {
    if (now - this.checkedAt < ttlMillis) return
    const current = this.rows.version()
    if (current !== this.cachedVersion) this.cache.clear()
    this.cachedVersion = current
    this.checkedAt = now
  }

  private isLeaving(name: string): boolean {
    const transaction = this.leaving.get(name)
    if (transaction === undefined) return false
    if (transaction === this.rows.openTransaction()) return true
    this.leaving.delete(name)
    this.forget()
    return false
  }

  /** An opt-out was set in the transaction that is open. */
  leave(subject: Subject): void {
    const open = this.rows.openTransaction()
    // Those of transactions that have ended are in the rows, or were rolled back.
    for (const [name, transaction] of this.leaving) if (transaction !== open) this.leaving.delete(name)
    if (this.leaving.size === 0) this.forget()
    this.leaving.set(keyOf(subject), open)
  }

  /**
   * Whether it is time to ask for the number of changes. For a medium that reads otherwise than by `PreferenceRows`.
   */
  isDue(now: number): boolean {
    return now - this.checkedAt >= ttlMillis
  }

  /** Whether all is remembered that a question asks for. */
  knows({ env, tenantId, userIds }: Question): boolean {
    if (!this.cache.has(keyOf({ tenantId, env }))) return false
    for (let i = 0; i < userIds.length; i++) {
      if (!this.cache.has(keyOf({ tenantId, env, userId: userIds[i]! }))) return false
    }
    return true
  }

  /** Of whom it is not remembered whether they have opted out; such a medium gives what it has read to `learn`. */
  unknown({ env, tenantId, userIds }: Question): ReadonlyArray<Subject> {
    const subjects: ReadonlyArray<Subject> = [
      { tenantId, env },
      ...userIds.map((userId) => ({ tenantId, env, userId }))
    ]
    return subjects.filter((subject) => !this.cache.has(keyOf(subject)))
  }

  /** Remembers what was read at a version. */
  learn(version: unknown, read: ReadonlyArray<readonly [subject: Subject, optedOut: boolean]>, now: number): void {
    if (version !== this.cachedVersion || this.cache.size + read.length > this.most) this.cache.clear()
    this.cachedVersion = version
    this.checkedAt = now
    for (const [subject, optedOut] of read) this.cache.set(keyOf(subject), optedOut)
  }

  /** A change was committed: what is remembered is read again. */
  forget(): void {
    this.checkedAt = -Infinity
  }

  private has(subject: Subject, now: number): boolean {
    const name = keyOf(subject)
    if (this.leaving.size > 0 && this.isLeaving(name)) return true
    this.refresh(now)
    const cached = this.cache.get(name)
    if (cached !== undefined) return cached
    const optedOut = this.rows.isOptedOut(subject)
    if (this.cache.size >= this.most) this.cache.clear()
    this.cache.set(name, optedOut)
    return optedOut
  }

  answer({ env, tenantId, userIds }: Question, now: number): Answer {
    if (this.has({ tenantId, env }, now)) return "tenant_opt_out"
    for (let i = 0; i < userIds.length; i++) {
      if (this.has({ tenantId, env, userId: userIds[i]! }, now)) return "user_opt_out"
    }
    return "allowed"
  }
}
