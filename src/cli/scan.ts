/** `effect-audit scan`: finds personal data and secrets in NDJSON from standard input, or in log files. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Json } from "../internal/json.ts"
import { Known } from "../pii/Kind.ts"
import * as Pii from "../pii/Pii.ts"
import { Failed, SomeRefused } from "./exit.ts"
import { type Line, LineSplitter } from "./lines.ts"
import { progress } from "./progress.ts"
import { printable } from "./table.ts"

/** What was seen so far. */
class Seen {
  lines = 0
  bytes = 0
  findings = 0
  wrong = 0
  readonly kinds = new Set<string>()
  find(kinds: Iterable<string>): void {
    for (const kind of kinds) {
      this.kinds.add(kind)
      this.findings++
    }
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The answer to one line of NDJSON. */
const answer = (line: Line, seen: Seen): string => {
  const record = parse(line.text)
  if (isObject(record) && typeof record["text"] === "string") {
    const spans = Pii.scan(record["text"])
    seen.find(spans.map((span) => span.kind))
    return `${JSON.stringify({ spans: spans.map(({ end, kind, start }) => ({ start, end, type: kind })) })}\n`
  }
  if (isObject(record) && record["event"] !== undefined) {
    const { counts, value } = Pii.strip(record["event"])
    seen.find(counts.keys())
    return `${JSON.stringify({ event: value, flags: [...counts.keys()].sort() })}\n`
  }
  seen.wrong++
  return `${
    JSON.stringify({ line: line.number, error: "not an object with text or event, not UTF-8, or over 1 MiB" })
  }\n`
}

/** The findings of one line of a file: where and what kind, never the value. */
const findings = (file: string) => (line: Line, seen: Seen): string => {
  if (line.text === undefined) {
    seen.wrong++
    return `${printable(file)}:${line.number}: not looked at: not UTF-8, or over 1 MiB\n`
  }
  const spans = Pii.scan(line.text)
  seen.find(spans.map((span) => span.kind))
  return spans.map((span) => `${printable(file)}:${line.number}:${span.start + 1}: ${span.kind}\n`).join("")
}

/** The bytes of a file; what cannot be read is named. */
const read = (fileSystem: FileSystem.FileSystem, file: string): Stream.Stream<Uint8Array, PlatformError | Failed> =>
  Stream.mapError(fileSystem.stream(file), (error) => {
    const { _tag, cause } = error.reason
    if (_tag === "NotFound") return error
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    const why = code === "EISDIR"
      ? "it is a folder"
      : code === "EINVAL" || code === "ESPIPE"
      ? "it is no file; pipe it to standard input"
      : error.message
    return new Failed({ message: `${printable(file)} cannot be read: ${why}` })
  })

/** Lines in, text out, in order; memory holds one chunk at a time. */
const lines = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  seen: Seen,
  each: (line: Line, seen: Seen) => string
): Stream.Stream<string, E, R> =>
  Stream.suspend(() => {
    const splitter = new LineSplitter()
    const all = (list: ReadonlyArray<Line>) => {
      seen.lines += list.length
      return list.map((line) => each(line, seen)).join("")
    }
    return Stream.concat(
      Stream.map(bytes, (chunk) => {
        seen.bytes += chunk.length
        return all(splitter.push(chunk))
      }),
      Stream.sync(() => all(splitter.end()))
    )
  })

const run = Effect.fnUntraced(function*(
  files: ReadonlyArray<string>,
  failOn: ReadonlyArray<string>
): Effect.fn.Return<void, SomeRefused | Failed | PlatformError, Stdio.Stdio | FileSystem.FileSystem> {
  const stdio = yield* Stdio.Stdio
  const fileSystem = yield* FileSystem.FileSystem
  const seen = new Seen()
  const meter = yield* progress((seconds) =>
    `${seen.lines} lines, ${(seen.bytes / 1e6).toFixed(1)} MB, ${seen.findings} findings, ` +
    `${(seen.bytes / 1e6 / Math.max(seconds, 0.001)).toFixed(1)} MB/s`
  )
  const output = files.length === 0
    ? lines(stdio.stdin, seen, answer)
    : Stream.fromIterable(files).pipe(Stream.flatMap((file) => lines(read(fileSystem, file), seen, findings(file))))
  yield* output.pipe(Stream.filter((text) => text !== ""), Stream.run(stdio.stdout({ endOnDone: false })))
  yield* meter.stop
  const failing = failOn.filter((kind) => seen.kinds.has(kind))
  if (failing.length > 0 || seen.wrong > 0) return yield* new SomeRefused({ count: failing.length + seen.wrong })
})

export const scan = Command.make(
  "scan",
  {
    file: Flag.String("file").pipe(
      Flag.between(0, 1000),
      Flag.withDescription("A log file to scan instead of standard input; may be repeated, or followed by more files")
    ),
    failOn: Flag.Literals("fail-on", Known.literals).pipe(
      Flag.between(0, 100),
      Flag.withDescription("Exit 1 if this kind is found; may be repeated")
    ),
    more: Argument.String("file").pipe(Argument.variadic())
  },
  ({ failOn, file, more }) => run([...file, ...more], failOn)
).pipe(
  Command.withDescription(
    "Find personal data and secrets. NDJSON on standard input: {\"text\": ...} is answered with its spans, " +
      "{\"event\": ...} with the " +
      "stripped event and its flags, in order. With --file: findings by file, line, column and kind, never the " +
      "value. " +
      "Exit 0: done, 1: a kind of --fail-on was found or a line was refused, 2: could not be done."
  ),
  Command.withExamples([
    { command: "effect-audit scan --file app.log --fail-on SECRET --fail-on EMAIL", description: "Check a log in CI" },
    {
      command: `echo '{"text": "mail kim@example.com"}' | effect-audit scan`,
      description: "Where the findings of a text are"
    }
  ])
)
