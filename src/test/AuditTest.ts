/**
 * For the tests of programs that record events: the whole audit log in memory, what was recorded, and media that fail
 * as told.
 *
 *     it.effect("records the note", () =>
 *       Effect.gen(function*() {
 *         yield* createNote("hi")
 *         yield* AuditTest.expect([{ action: "note.create", outcome: "success" }])
 *       }).pipe(Effect.provide(AuditTest.layer())))
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import type { Wire } from "../DatasetEvent.ts"
import type { LoggingEngine } from "../LoggingEngine.ts"
import * as Memory from "../memory/Memory.ts"
import type { LogName } from "../RequestContext.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import * as failure from "./failingMedium.ts"
import { type Expected, report } from "./matching.ts"

export type { FailingOptions, FailingReason } from "./failingMedium.ts"
export type { Expected } from "./matching.ts"

/** How events are stripped and recorded, and where to. */
export interface Options extends AuditLogger.Options {
  /** A medium of this module, or any other; memory unless given. */
  readonly medium?: Layer.Layer<Memory.AuditStore, AuditError> | undefined
}

/** Logger, engine and medium; a new store for each layer that is built. */
export const layer = (
  options: Options = {}
): Layer.Layer<AuditLogger.AuditLogger | LoggingEngine | Memory.AuditStore, AuditError> =>
  Layer.fresh(AuditLogger.layer(options).pipe(Layer.provideMerge(options.medium ?? Memory.layer())))

/** A medium in memory that fails to store events, from the first on or after some, for ever or some times. */
export const failing = (
  reason: failure.FailingReason,
  options: failure.FailingOptions = {}
): Layer.Layer<Memory.AuditStore> => failure.failing(reason, options)

/** A medium in memory whose sink takes its time with each event. */
export const slow = (delay: Duration.Input): Layer.Layer<Memory.AuditStore> => failure.slow(delay)

/** A medium in memory whose sink never ends: each event meets the deadline of the engine. */
export const hanging: Layer.Layer<Memory.AuditStore> = failure.hanging

/**
 * What was recorded, decoded, oldest first, without `audit.log_created` and without what was erased: of one log, or of
 * all, in the order in which they were stamped.
 */
export const events = (only?: LogName | undefined): Effect.Effect<ReadonlyArray<Wire>, AuditError, AuditTrail> =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail
    const logs = only === undefined ? yield* trail.logs : [only]
    const each = yield* Effect.forEach(
      logs,
      ({ env, tenantId }) =>
        Effect.map(
          Stream.runCollect(pages(trail, { tenantId, env })),
          (items) =>
            items.flatMap((item) => item.erased || item.event.action === "audit.log_created" ? [] : [item.event])
        )
    )
    return each.length === 1 ? each.flat() : each.flat().sort((a, b) => a.event_id < b.event_id ? -1 : 1)
  })

const pages = (trail: AuditTrail["Service"], log: LogName) =>
  Stream.flattenIterable(Stream.unfold<
    { readonly cursor: string | undefined } | undefined,
    ReadonlyArray<Effect.Success<ReturnType<AuditTrail["Service"]["query"]>>["items"][number]>,
    AuditError,
    never
  >({ cursor: undefined }, (place) =>
    place === undefined ? Effect.undefined : Effect.map(
      trail.query({ ...log, order: "asc", limit: 1000, cursor: place.cursor }),
      ({ items, next }) => [items, next === undefined ? undefined : { cursor: next }] as const
    )))

/** What was recorded is not what was expected; the message says where. */
export class Unexpected extends Schema.TaggedError<Unexpected>("effect-audit/test/Unexpected")("Unexpected", {
  report: Schema.String
}) {
  override get message(): string {
    return this.report
  }
}

/**
 * Fails with `Unexpected` unless exactly these events were recorded, in this order. Of each event only the fields that
 * are given are compared; arrays must have the same length.
 */
export const expect = (
  expected: ReadonlyArray<Expected>,
  only?: LogName | undefined
): Effect.Effect<void, Unexpected | AuditError, AuditTrail> =>
  Effect.flatMap(events(only), (recorded) => {
    const said = report(expected, recorded)
    return said === undefined ? Effect.void : Effect.fail(new Unexpected({ report: said }))
  })
