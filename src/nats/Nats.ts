/**
 * Delivers to a stream of NATS JetStream, over the application's own connection.
 *
 * Each event is a message of its own with `Nats-Msg-Id: <event_id>`, behind the subject where that is one of your own:
 * what is sent again within the stream's duplicate window is there once. The relay waits for the stream's
 * acknowledgement of each, many at a time.
 *
 * **Gotchas**
 *
 * What an acknowledgement is worth is up to the server: with its default `sync_interval` of two minutes it has written
 * to the disk's cache, and a power cut of a stream with one replica may lose it. Set `sync_interval: always`, or three
 * replicas in places of their own.
 *
 * @since 0.1.0
 */
import type { JetStreamClient, JetStreamManager, StreamConfig } from "@nats-io/jetstream"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { AuditError, InvalidInput, SinkRejected } from "../AuditError.ts"
import { type Batch, type DeliveryError, Refused, type Target, TooLarge, Unavailable } from "../relay/Target.ts"
import type { LogName } from "../RequestContext.ts"

/** Where to, and how. */
export interface Options {
  readonly jetstream: JetStreamClient
  /** The stream that the messages must come to. */
  readonly stream: string
  /** The subject of a log's events; `audit.<env>.<tenant>` unless given. */
  readonly subject?: ((log: LogName) => string) | undefined
  /**
   * Messages that wait for their acknowledgement at most; 256 unless given. As many must be acknowledged within the
   * time-out.
   */
  readonly maxInFlight?: number | undefined
  /** How long an acknowledgement is waited for; 5 seconds unless given. */
  readonly timeout?: Duration.Input | undefined
  /** Bytes of one message at most, as the server says (`max_payload`); 1 MB unless given. */
  readonly maxEventBytes?: number | undefined
}

/** A part of a subject: what separates parts, and what stands for many, is written as in an address. */
const token = (text: string): string =>
  text.replace(/[^A-Za-z0-9_-]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

/** The subject of a log's events. */
export const subjectOf = ({ env, tenantId }: LogName): string => `audit.${token(env)}.${token(tenantId)}`

/** What an error of the client means, by its name. */
const errorOf = (cause: unknown): DeliveryError => {
  const name = cause instanceof Error ? cause.name : "unknown"
  const message = cause instanceof Error ? cause.message : ""
  if (/max_?payload|maximum payload|message size exceeds/i.test(message)) {
    return new TooLarge({ detail: "NATS takes no message of this size" })
  }
  return name === "InvalidSubjectError" || name === "InvalidArgumentError"
    ? new Refused({ detail: `NATS refused it (${name})` })
    : new Unavailable({ detail: `NATS has not acknowledged it (${name})` })
}

/**
 * Runs something that makes errors whose stacks no one reads. It ends before anything else runs.
 */
const withoutStacks = <A>(run: () => A): A => {
  const { stackTraceLimit } = Error
  // It may be frozen; then stacks are taken.
  Reflect.set(Error, "stackTraceLimit", 0)
  try {
    return run()
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit)
  }
}

/**
 * Publishes events in their order, all at once: what is lost with a connection is their end, and the order stays. The
 * acknowledgement of each must come from the stream that is meant. The client makes two errors with every message, in
 * case that it fails: their stacks would take a quarter of the time.
 */
const publish = (
  { jetstream, stream, timeout = "5 seconds" }: Options,
  subject: string,
  { events, log }: Batch
): Effect.Effect<void, DeliveryError> => {
  // A stream tells repeats by this id alone: under another subject the same event of another relay is a new message.
  const before = subject === subjectOf(log) ? "" : `${subject} `
  const shared = { timeout: Duration.toMillis(Duration.fromInputUnsafe(timeout)), expect: { streamName: stream } }
  return Effect.tryPromise({
    try: () =>
      Promise.all(
        withoutStacks(() =>
          events.map(({ eventId, text }) =>
            jetstream.publish(subject, text, { ...shared, msgID: `${before}${eventId}` })
          )
        )
      ),
    catch: errorOf
  })
}

/** Makes the target. */
export const make = (options: Options): Target => {
  const { maxEventBytes = 1_000_000, maxInFlight = 256, stream, subject = subjectOf } = options
  return {
    name: `NATS ${stream}`,
    maxEvents: maxInFlight,
    maxBytes: 32_000_000,
    maxEventBytes,
    // The first failure ends the batch, which is sent again.
    send: (batch: Batch) => publish(options, subject(batch.log), batch)
  }
}

/** How a stream of audit events is kept. */
export interface StreamOptions extends Partial<Pick<StreamConfig, "max_age" | "max_bytes">> {
  readonly name: string
  /** `audit.>` unless given. */
  readonly subjects?: ReadonlyArray<string> | undefined
  /** Copies of the stream: 1, 3 or 5. */
  readonly replicas: number
  /** How long a message that is sent again is told by its id; ten minutes unless given. */
  readonly duplicateWindow?: Duration.Input | undefined
}

/**
 * Makes a stream of a name with explicit settings, unless it is there: in files, with no message taken away when it is
 * full, but refused.
 */
export const ensureStream = Effect.fnUntraced(function*(
  manager: JetStreamManager,
  { duplicateWindow = "10 minutes", name, replicas, subjects = ["audit.>"], ...bounds }: StreamOptions
): Effect.fn.Return<void, AuditError> {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(name)) {
    const reason = new InvalidInput({ path: "/name", detail: "is no name of a stream: letters, digits, _ and -" })
    return yield* new AuditError({ method: "Nats.ensureStream", reason })
  }
  const failed = (cause: unknown) =>
    new AuditError({
      method: "Nats.ensureStream",
      reason: new SinkRejected({
        detail: `the stream cannot be made (${cause instanceof Error ? cause.name : "unknown"})`
      })
    })
  const there = yield* Effect.tryPromise({
    try: () =>
      manager.streams.info(name).then(() => true, (cause: unknown) => {
        if (cause instanceof Error && cause.name === "StreamNotFoundError") return false
        throw cause
      }),
    catch: failed
  })
  if (there) return
  const millis = Duration.toMillis(Duration.fromInputUnsafe(duplicateWindow))
  yield* Effect.tryPromise({
    try: () =>
      manager.streams.add({
        ...bounds,
        name,
        subjects: [...subjects],
        num_replicas: replicas,
        storage: "file",
        retention: "limits",
        discard: "new",
        deny_delete: true,
        duplicate_window: millis * 1_000_000
      }),
    catch: failed
  })
})
