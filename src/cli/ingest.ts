/**
 * `effect-audit ingest`: records NDJSON from standard input, and says so of each line as soon as, and only when, it is
 * durable.
 */
import type * as Cause from "effect/Cause"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { AuditError } from "../AuditError.ts"
import { ReadDraft } from "../internal/draft.ts"
import { pointer } from "../internal/json.ts"
import { LoggingEngine, type Receipt } from "../LoggingEngine.ts"
import { Stripper } from "../pii/Pii.ts"
import * as RequestContext from "../RequestContext.ts"
import { SomeRefused } from "./exit.ts"
import { type Line, LineSplitter } from "./lines.ts"
import { storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { failing, writable } from "./store.ts"

/** Why a line was refused: the reason's name; where, as a JSON Pointer into the line; and the rule, without values. */
interface Refused {
  readonly reason: string
  readonly path?: string | undefined
  readonly detail?: string | undefined
}

/** The keys of a path are the caller's, and may be personal data. */
const invalid = (path: string, detail: string): Refused => ({
  reason: "InvalidInput",
  path: new Stripper().place(path),
  detail
})
const fields = new Set(["context", "draft", "idempotencyKey"])
const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** The first place of a context that its schema complains about; what it says holds no value. */
const invalidContext = (error: Schema.SchemaError): Refused => {
  const { message = "", path = [] } = formatIssue(error.issue).issues[0] ?? {}
  const place = pointer(path.map((segment) => String(typeof segment === "object" ? segment.key : segment)))
  return invalid(`/context${place}`, message)
}

interface Envelope {
  readonly context: unknown
  readonly draft: ReadDraft
  readonly idempotencyKey: string | undefined
}

/** Reads the outer object of a line; the draft itself is checked where it is recorded. */
const parse = (text: string): Envelope | Refused => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return invalid("", "is not JSON")
  }
  if (!isObject(json)) return invalid("", "must be an object")
  const unknown = Object.keys(json).find((key) => !fields.has(key))
  if (unknown !== undefined) return invalid(pointer([unknown]), "is not a field of a line")
  const { context, draft, idempotencyKey } = json
  if (!isObject(context)) return invalid("/context", "must be an object")
  if (!isObject(draft)) return invalid("/draft", "must be an object")
  if (idempotencyKey !== undefined && typeof idempotencyKey !== "string") {
    return invalid("/idempotencyKey", "must be text")
  }
  return { context, draft: ReadDraft.fromUnknown(draft, "audit"), idempotencyKey }
}

const refusedBy = ({ reason }: AuditError): Refused =>
  reason._tag !== "InvalidInput"
    ? { reason: reason._tag }
    : reason.path === "/idempotencyKey"
    ? invalid(reason.path, reason.detail)
    // The engine has stripped it.
    : { reason: "InvalidInput", path: `/draft${reason.path}`, detail: reason.detail }

const record = (engine: LoggingEngine["Service"], text: string): Effect.Effect<Receipt, Refused> => {
  const envelope = parse(text)
  if ("reason" in envelope) return Effect.fail(envelope)
  const { context, draft, idempotencyKey } = envelope
  return Effect.flatMap(
    Effect.mapError(RequestContext.decode(context), invalidContext),
    (context) =>
      Effect.mapError(
        Effect.provideService(engine.log(draft, { idempotencyKey }), RequestContext.RequestContext, context),
        refusedBy
      )
  )
}

const accepted = (line: number, { duplicate, eventId, position }: Receipt): string =>
  `${JSON.stringify({ line, status: "accepted", event_id: eventId, position, duplicate })}\n`
const rejected = (line: number, { detail, path, reason }: Refused): string =>
  `${JSON.stringify({ line, status: "rejected", reason, path, detail })}\n`

const run = Effect.fnUntraced(function*(
  concurrency: number
): Effect.fn.Return<void, SomeRefused | PlatformError, LoggingEngine | Stdio.Stdio | Scope.Scope> {
  const engine = yield* LoggingEngine
  const stdio = yield* Stdio.Stdio
  const answers = yield* Queue.bounded<string, Cause.Done>(4096)
  const writing = yield* Effect.forkChild(
    Stream.fromQueue(answers).pipe(
      Stream.chunks,
      Stream.map((chunk) => chunk.join("")),
      Stream.run(stdio.stdout({ endOnDone: false })),
      Effect.ensuring(Queue.shutdown(answers))
    )
  )
  const permits = yield* Semaphore.make(concurrency)
  const recording = yield* FiberSet.make<void>()
  const counts = { lines: 0, accepted: 0, rejected: 0 }
  const meter = yield* progress((seconds) =>
    `${counts.lines} lines, ${counts.accepted} accepted, ${counts.rejected} rejected, ${
      Math.round(counts.lines / Math.max(seconds, 0.001))
    } lines/s`
  )
  const answer = (line: Line): Effect.Effect<void> =>
    Effect.flatMap(
      Effect.result(
        line.text === undefined
          ? Effect.fail(invalid("", "is longer than 1,048,576 bytes, or no UTF-8"))
          : record(engine, line.text)
      ),
      (result) => {
        counts.lines++
        if (result._tag === "Success") counts.accepted++
        else counts.rejected++
        const text = result._tag === "Success"
          ? accepted(line.number, result.success)
          : rejected(line.number, result.failure)
        return Effect.asVoid(Queue.offer(answers, text))
      }
    )
  const splitter = new LineSplitter()
  const handle = (lines: ReadonlyArray<Line>) =>
    Effect.forEach(lines, (line) =>
      Effect.andThen(
        permits.take(1),
        FiberSet.run(recording, Effect.uninterruptible(Effect.ensuring(answer(line), permits.release(1))), {
          startImmediately: true
        })
      ), { discard: true })
  const reading = stdio.stdin.pipe(
    Stream.runForEach((chunk) => handle(splitter.push(chunk))),
    Effect.andThen(Effect.suspend(() => handle(splitter.end())))
  )
  // Every line that was read has been answered.
  const answered = FiberSet.awaitEmpty(recording).pipe(
    Effect.andThen(Queue.end(answers)),
    Effect.andThen(Fiber.join(writing)),
    Effect.andThen(meter.stop)
  )
  // Nobody reads the output any more: stop reading lines as well. A signal stops reading alone.
  yield* Effect.raceFirst(reading, Effect.andThen(Fiber.join(writing), Effect.never)).pipe(
    Effect.onInterrupt(() => Effect.exit(answered))
  )
  yield* Effect.uninterruptible(answered)
  if (counts.rejected > 0) return yield* new SomeRefused({ count: counts.rejected })
})

const concurrency = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_536 }))

export const ingest = Command.make(
  "ingest",
  {
    ...storeFlags,
    concurrency: Flag.Int("concurrency").pipe(
      Flag.withSchema(concurrency),
      Flag.withDefault(64),
      Flag.withDescription("Lines that are recorded at the same time; 64 unless given")
    )
  },
  ({ concurrency, config, db }) => failing(Effect.provide(Effect.scoped(run(concurrency)), writable({ config, db })))
).pipe(
  Command.withDescription(
    "Record NDJSON from standard input. Each line is an object with context and draft, and optionally " +
      "idempotencyKey. " +
      "Each is answered with a line on standard output, in order of completion, when it is durable; also after a " +
      "signal, which stops the reading. " +
      "Exit 0: all accepted, 1: some rejected, 2: could not be done."
  ),
  Command.withExamples([{
    command: `echo '{"context": {"tenantId": "t_acme", "env": "prod", "actor": {"type": "human", "id": "u1"}, ` +
      `"requestId": "r1"}, ` +
      `"draft": {"action": "note.create"}}' | effect-audit ingest --db audit.db`,
    description: "Record one event"
  }])
)
