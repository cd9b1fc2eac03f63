/**
 * Events per second of the whole write path (strip, decide, seal, durable), next to what the disk and the processor allow,
 * in one run: contestants take turns, and each figure is the median of its rounds.
 *
 *     npm run bench            all contestants
 *     npm run bench -- quick   fewer events
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash, randomBytes } from "node:crypto"
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pino } from "pino"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Growth } from "../src/ledger/growth.ts"
import { Sqlite } from "../src/sqlite/index.ts"

const words =
  "the note was moved to another folder and its title now says what it is about so that others can find it again".split(
    " "
  )

/** A draft whose stored event has about 1 kB. */
export const draft = (n: number): AuditLogger.AuditDraft => ({
  action: n % 3 === 0 ? "note.update" : "note.create",
  resource: { type: "note", id: `n${n}` },
  durationMillis: n % 50,
  input: { title: words.slice(n % 10, 10 + n % 10).join(" "), folder: `f${n % 100}`, revision: n },
  metadata: { client: "web", version: "4.2.1", feature: "notes", attempt: 1 }
})

export const context = (n: number, tenants: number) =>
  RequestContext.decode({
    tenantId: `t_tenant${n % tenants}`,
    env: "prod",
    projectId: "p1",
    appId: "web",
    surface: "notes",
    actor: { type: "agent", id: `a${n % 20}`, onBehalfOf: `u${n % 500}` },
    requestId: `r${n}`,
    traceId: randomBytes(16).toString("hex"),
    spanId: randomBytes(8).toString("hex")
  })

let folder: string | undefined
let files = 0
/** Others take callers and drafts from here, and no folder. */
const file = () => join(folder ??= mkdtempSync(join(tmpdir(), "effect-audit-bench-")), `${files++}.db`)

/** Runs `callers` loops of calls until `total` calls are done. */
export const loops = <E, R>(callers: number, total: number, call: (n: number) => Effect.Effect<unknown, E, R>) => {
  let next = 0
  const loop: Effect.Effect<void, E, R> = Effect.whileLoop({
    while: () => next < total,
    body: () => call(next++),
    step: () => {}
  })
  return Effect.all(Array.from({ length: callers }, () => loop), { concurrency: "unbounded", discard: true })
}

export const timed = <E>(effect: Effect.Effect<void, E>, total: number): Effect.Effect<number, E> =>
  Effect.gen(function*() {
    const started = performance.now()
    yield* effect
    return Math.round(total / (performance.now() - started) * 1000)
  })

export const store = (filename: string) => AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename })))

const emit = (callers: number, total: number, tenants: number) =>
  Effect.gen(function*() {
    const logger = yield* AuditLogger.AuditLogger
    const contexts = yield* Effect.forEach(Array.from({ length: 1000 }, (_, n) => n), (n) => context(n, tenants))
    return yield* timed(
      loops(callers, total, (n) =>
        Effect.provideService(logger.emit(draft(n)), RequestContext.RequestContext, contexts[n % 1000]!)),
      total
    )
  }).pipe(Effect.provide(store(file())))

/** The same without growing the tree: the only place where the ledger is off, to see what it costs. */
const emitWithoutLedger = (callers: number, total: number) =>
  Effect.suspend(() => {
    const { add } = Growth.prototype
    Growth.prototype.add = () => undefined
    return Effect.ensuring(emit(callers, total, 1), Effect.sync(() => Growth.prototype.add = add))
  })

/** The event as a caller would write it by hand: an object, its JSON, its hash. No Effect, nothing stripped. */
const line = (n: number): string => {
  const { action, input, metadata, resource } = draft(n)
  const now = new Date().toISOString()
  const json = JSON.stringify({
    event_id: "01a209b2-bb64-721d-a879-ebe903fabb0d",
    schema_version: "1",
    tenantId: "t_tenant1",
    env: "prod",
    mode: "saas",
    project_id: "p1",
    app_id: "web",
    surface: "notes",
    actor_type: "agent",
    agentId: `a${n % 20}`,
    user_id: `u${n % 500}`,
    request_id: `r${n}`,
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    action,
    resource,
    outcome: "success",
    duration_ms: n % 50,
    input,
    metadata: {
      ...metadata,
      tenantId: "t_tenant1",
      env: "prod",
      agentId: `a${n % 20}`,
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      request_id: `r${n}`,
      actor_type: "agent",
      action
    },
    pii_flags: { flags: [], policy_reason: "no_pii", counts: {}, truncated: false },
    train_ok: true,
    train_reason: "allowed",
    severity: "info",
    storage_class: "audit",
    occurred_at: now,
    recorded_at: now
  })
  createHash("sha256").update(json).digest()
  return `${json}\n`
}

/** Append to a plain file: callers that wait together share one write and one fdatasync. */
const plainFile = (callers: number, total: number) =>
  Effect.promise(async () => {
    const descriptor = openSync(file(), "w")
    let waiting: Array<{ readonly text: string; readonly resume: () => void }> = []
    const flush = () => {
      const batch = waiting
      waiting = []
      writeSync(descriptor, batch.map((entry) => entry.text).join(""))
      fdatasyncSync(descriptor)
      for (const entry of batch) entry.resume()
    }
    let next = 0
    const append = (text: string) =>
      new Promise<void>((resume) => {
        if (waiting.length === 0) setImmediate(flush)
        waiting.push({ text, resume })
      })
    const caller = async () => {
      while (next < total) await append(line(next++))
    }
    const started = performance.now()
    await Promise.all(Array.from({ length: callers }, caller))
    const rate = Math.round(total / (performance.now() - started) * 1000)
    closeSync(descriptor)
    return rate
  })

const stringifyOnly = (total: number) =>
  Effect.sync(() => {
    const started = performance.now()
    let bytes = 0
    for (let n = 0; n < total; n++) bytes += line(n).length
    return { rate: Math.round(total / (performance.now() - started) * 1000), bytes: Math.round(bytes / total) }
  })

const pinoFile = (total: number, redact: boolean) =>
  Effect.sync(() => {
    const destination = pino.destination({ dest: file(), sync: true })
    const logger = pino(redact ? { redact: ["input.title", "metadata.client", "*.email"] } : {}, destination)
    const started = performance.now()
    for (let n = 0; n < total; n++) {
      logger.info({ ...draft(n), trace_id: "0af7651916cd43dd8448eb211c80319c", tenantId: "t_tenant1" })
    }
    destination.flushSync()
    return Math.round(total / (performance.now() - started) * 1000)
  })

export const median = (values: ReadonlyArray<number>) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

export const run = (quick: boolean): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const scale = quick ? 0.25 : 1
    const n = (total: number) => Math.round(total * scale)
    const contestants: ReadonlyArray<readonly [string, Effect.Effect<number, unknown>]> = [
      ["plain file, 1 caller", plainFile(1, n(8000))],
      ["effect-audit, 1 caller", emit(1, n(8000), 1)],
      ["plain file, 64 callers", plainFile(64, n(60_000))],
      ["effect-audit, 64 callers", emit(64, n(60_000), 1)],
      ["effect-audit, 64 callers, ledger off", emitWithoutLedger(64, n(60_000))],
      ["effect-audit, 64 callers, 100 tenants", emit(64, n(60_000), 100)],
      ["plain file, 1,024 callers", plainFile(1024, n(100_000))],
      ["effect-audit, 1,024 callers", emit(1024, n(100_000), 1)],
      ["effect-audit, 1,024 callers, ledger off", emitWithoutLedger(1024, n(100_000))],
      ["effect-audit, 1,024 callers, 100 tenants", emit(1024, n(100_000), 100)],
      ["JSON and SHA-256 only", Effect.map(stringifyOnly(n(100_000)), ({ rate }) => rate)],
      ["pino to a file, no sync", pinoFile(n(100_000), false)],
      ["pino with redaction, no sync", pinoFile(n(100_000), true)]
    ]
    const rates = new Map<string, Array<number>>()
    const rounds = quick ? 2 : 3
    // The first round warms up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, contestant] of contestants) {
        const rate = yield* contestant
        if (round > 0) rates.set(name, [...rates.get(name) ?? [], rate])
      }
    }
    const { bytes } = yield* stringifyOnly(1000)
    const rate = (name: string) => median(rates.get(name) ?? [])
    console.log(`events per second, median of ${rounds} rounds; one event has ${bytes} bytes as JSON\n`)
    for (const [name] of contestants) console.log(`${String(rate(name)).padStart(8)}  ${name}`)
    const ratio = (a: string, b: string) => (rate(a) / rate(b)).toFixed(2)
    console.log(`
${ratio("effect-audit, 1 caller", "plain file, 1 caller")} of the plain file with 1 caller
${ratio("effect-audit, 64 callers", "plain file, 64 callers")} of the plain file with 64 callers
${ratio("effect-audit, 1,024 callers", "plain file, 1,024 callers")} of the plain file with 1,024 callers
${ratio("effect-audit, 64 callers", "effect-audit, 64 callers, ledger off")} of the rate with the ledger off, 64 callers
${
      ratio("effect-audit, 1,024 callers", "effect-audit, 1,024 callers, ledger off")
    } of the rate with the ledger off, 1,024 callers
${
      ratio("effect-audit, 64 callers, 100 tenants", "effect-audit, 64 callers")
    } of one tenant's rate with 100 tenants, 64 callers
${
      ratio("effect-audit, 1,024 callers, 100 tenants", "effect-audit, 1,024 callers")
    } of one tenant's rate with 100 tenants, 1,024 callers`)
  }).pipe(Effect.ensuring(Effect.sync(() => folder !== undefined && rmSync(folder, { recursive: true, force: true }))))
