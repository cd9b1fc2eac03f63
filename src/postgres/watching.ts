/** Watches logs for commits of any process: those of this one are told, others are looked for. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { integerOf, stringOf } from "../internal/row.ts"
import type { LogName } from "../RequestContext.ts"
import type { Watch } from "../trail/follow.ts"
import type { Opened } from "./database.ts"

/** How often other processes' commits are looked for, in milliseconds: one statement for all logs that are watched. */
const lookEvery = 50

/** One log that is watched. */
interface Watched {
  readonly name: LogName
  /** Counts commits of this process, and looks that did not succeed. */
  commits: number
  /** What its head said last. */
  head: string
  /** What both were when the watch last ended. */
  told: string | undefined
  more: Latch.Latch
}

const keyOf = ({ env, tenantId }: LogName): string => `${tenantId}/${env}`

/** The watches of one process. */
export class Watching {
  private readonly database: Opened
  private readonly watched = new Set<Watched>()
  private looker: Fiber.Fiber<void> | undefined

  constructor(database: Opened) {
    this.database = database
  }

  /** Something was committed to logs by this process. */
  readonly tell = (keys: ReadonlySet<string>): void => {
    for (const one of this.watched) {
      if (!keys.has(keyOf(one.name))) continue
      one.commits++
      one.more.openUnsafe()
    }
  }

  private readonly look: Effect.Effect<void> = Effect.suspend(() => {
    const { committed, schema: s } = this.database
    const names = [...this.watched].map(({ name }) => name)
    return Effect.matchEffect(
      committed(
        `SELECT l.tenant_id, l.env, h.size::float8 AS size, h.version::float8 AS version FROM ` +
          `unnest($1::text[], $2::text[]) AS w(tenant_id, env) JOIN ${s}.log l ON l.tenant_id = w.tenant_id AND ` +
          `l.env = w.env JOIN ${s}.head h ON h.log = l.id`,
        [names.map(({ tenantId }) => tenantId), names.map(({ env }) => env)]
      ),
      {
        // What cannot be looked at may have grown: whoever reads it hears why.
        onFailure: () => Effect.sync(() => this.tell(new Set(names.map(keyOf)))),
        onSuccess: (rows) =>
          Effect.sync(() => {
            const heads = new Map(
              rows.map((row) => [
                `${stringOf(row, "tenant_id")}/${stringOf(row, "env")}`,
                `${integerOf(row, "size")} ${integerOf(row, "version")}`
              ])
            )
            for (const one of this.watched) this.see(one, heads.get(keyOf(one.name)) ?? "none")
          })
      }
    )
  })

  private see(one: Watched, head: string): void {
    if (one.head === head) return
    one.head = head
    one.more.openUnsafe()
  }

  private readonly looking: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.sleep(lookEvery),
      this.watched.size === 0 ? Effect.void : Effect.andThen(this.look, this.looking)
    )
  )

  /** Begins to watch a log, for as long as the scope. */
  readonly watch = (name: LogName): Effect.Effect<Watch, never, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const one: Watched = { name, commits: 0, head: "", told: undefined, more: Latch.makeUnsafe(false) }
      yield* Effect.acquireRelease(
        Effect.sync(() => this.watched.add(one)),
        () =>
          Effect.suspend(() => {
            this.watched.delete(one)
            const { looker } = this
            if (this.watched.size > 0 || looker === undefined) return Effect.void
            this.looker = undefined
            return Fiber.interrupt(looker)
          })
      )
      if (this.looker === undefined) {
        const services = yield* Effect.context<never>()
        this.looker = Effect.runForkWith(services)(this.looking)
      }
      const now = () => `${one.commits} ${one.head}`
      const isBehind = () => one.told !== now()
      const committed: Effect.Effect<void> = Effect.suspend(() => {
        if (isBehind()) {
          one.told = now()
          return Effect.void
        }
        one.more = Latch.makeUnsafe(false)
        return Effect.andThen(one.more.await, committed)
      })
      return { committed, isBehind: Effect.sync(isBehind) }
    })
}
