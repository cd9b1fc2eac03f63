/**
 * Media that fail as told, over memory: what is said not to be stored is not, and a change whose event fails is rolled
 * back with it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  AuditError,
  type AuditReason,
  CommitUnknown,
  LogStopped,
  SinkClosed,
  SinkFull,
  SinkOverloaded,
  SinkRejected,
  SinkTimeout,
  SinkUnavailable
} from "../AuditError.ts"
import { EventSink } from "../EventSink.ts"
import * as Memory from "../memory/Memory.ts"
import { Transactions } from "../Transactions.ts"

const detail = "a test told the medium to fail"
const reasons = {
  SinkOverloaded: () => new SinkOverloaded({ detail }),
  SinkTimeout: () => new SinkTimeout({ detail }),
  SinkUnavailable: () => new SinkUnavailable({ detail }),
  SinkFull: () => new SinkFull({ detail }),
  SinkRejected: () => new SinkRejected({ detail }),
  SinkClosed: () => new SinkClosed({ detail }),
  LogStopped: () => new LogStopped({ detail }),
  CommitUnknown: () => new CommitUnknown({ detail })
} satisfies { readonly [tag: string]: () => AuditReason }

/** Why a sink fails. */
export type FailingReason = keyof typeof reasons

/** When a medium fails. */
export interface FailingOptions {
  /** Events that are stored before, a transaction counting as one of them for `CommitUnknown`; none unless given. */
  readonly after?: number | undefined
  /** How often it fails then; for ever unless given. */
  readonly times?: number | undefined
  /** Of `CommitUnknown`: whether the event was stored all the same. Not unless given. */
  readonly stored?: boolean | undefined
}

/** Wraps sink and transactions of a store in memory. */
const over = (
  wrap: (
    sink: EventSink["Service"],
    transactions: Transactions["Service"]
  ) => { readonly sink: EventSink["Service"]; readonly transactions: Transactions["Service"] }
): Layer.Layer<Memory.AuditStore> =>
  Layer.effectContext(Effect.gen(function*() {
    const services = yield* Effect.context<Memory.AuditStore>()
    const { sink, transactions } = wrap(Context.get(services, EventSink), Context.get(services, Transactions))
    return services.pipe(Context.add(EventSink, sink), Context.add(Transactions, transactions))
  })).pipe(Layer.provide(Memory.layer()), Layer.fresh)

/** What the fiber's transaction has appended; nothing outside of one. */
const Appended = Context.Reference<{ events: number; ended: boolean } | undefined>("effect-audit/test/Appended", {
  defaultValue: () => undefined
})

export const failing = (tag: FailingReason, options: FailingOptions): Layer.Layer<Memory.AuditStore> =>
  over((sink, transactions) => {
    let left = options.after ?? 0
    let times = options.times ?? Infinity
    const isUnknown = tag === "CommitUnknown"
    /** Whether the event, or the commit, of now is one that fails. */
    const fails = (): boolean => {
      if (left > 0) {
        left--
        return false
      }
      return times-- > 0
    }
    const error = (method: string) => new AuditError({ method, reason: reasons[tag]() })
    const append: EventSink["Service"]["append"] = (event) =>
      Effect.flatMap(Appended, (appended) => {
        if (appended?.ended === false && isUnknown) {
          // Inside a transaction it is the commit whose outcome is not known.
          return Effect.tap(sink.append(event), () => Effect.sync(() => appended.events++))
        }
        if (!fails()) return sink.append(event)
        const failed = Effect.fail(
          new AuditError({ method: "EventSink.append", eventId: event.eventId, reason: reasons[tag]() })
        )
        return isUnknown && options.stored === true ? Effect.andThen(sink.append(event), failed) : failed
      })
    const transact = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditError, R> =>
      Effect.flatMap(Appended, (outer) => {
        if (outer?.ended === false || !isUnknown) return transactions.transact(effect)
        return Effect.suspend(() => {
          const appended = { events: 0, ended: false }
          let committed = true
          const inside = Effect.tap(Effect.provideService(effect, Appended, appended), () => {
            committed = appended.events === 0 || !fails()
            return committed || options.stored === true
              ? Effect.void
              : Effect.fail(error("Transactions.transact"))
          })
          return Effect.tap(
            Effect.ensuring(transactions.transact(inside), Effect.sync(() => appended.ended = true)),
            () => committed ? Effect.void : Effect.fail(error("Transactions.transact"))
          )
        })
      })
    return { sink: EventSink.of({ append }), transactions: Transactions.of({ transact }) }
  })

export const slow = (delay: Duration.Input): Layer.Layer<Memory.AuditStore> =>
  over((sink, transactions) => ({
    sink: EventSink.of({ append: (event) => Effect.delay(sink.append(event), delay) }),
    transactions
  }))

export const hanging: Layer.Layer<Memory.AuditStore> = over((_sink, transactions) => ({
  sink: EventSink.of({ append: () => Effect.never }),
  transactions
}))
