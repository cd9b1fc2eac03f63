/** What several tests need: contexts, whole stacks in memory and over a file, and temporary folders. */
import { Clock, Context, Effect, Layer, Stream } from "effect"
import {
  AuditLogger,
  type DatasetEvent,
  EventSink,
  LoggingEngine,
  PiiStripper,
  RequestContext,
  type TrainingPreferences,
  Transactions
} from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { Ledger, LogStore, Signer, SigningKey } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { Sqlite, SqliteLogStore } from "effect-audit/sqlite"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const tenant = RequestContext.TenantId.make("t_acme")
export const env = RequestContext.Env.make("prod")
export const log = { tenantId: tenant, env }

export const context = (more: Partial<RequestContext.Json> = {}) =>
  RequestContext.decode({
    tenantId: "t_acme",
    env: "prod",
    actor: { type: "human", id: "u1" },
    requestId: "r1",
    traceId: "0af7651916cd43dd8448eb211c80319c",
    ...more
  })

/** Runs an effect in a context made of the defaults and these fields. */
export const within = (more: Partial<RequestContext.Json> = {}) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.orDie(context(more)), (context) => RequestContext.provide(context)(effect))

/** A sealed event made by the real steps: a sink that keeps it and stores nothing. */
export const sealedBy = (
  draft: DatasetEvent.Draft,
  options?: LoggingEngine.EmitOptions,
  more: Partial<RequestContext.Json> = {},
  pii?: PiiStripper.Options
) =>
  Effect.gen(function*() {
    let sealed: DatasetEvent.Sealed | undefined
    const catching = Layer.succeed(
      EventSink.EventSink,
      EventSink.EventSink.of({
        append: (event) =>
          Effect.sync(() => {
            sealed = event
            return { eventId: event.eventId, position: 0, duplicate: false, durability: "memory" as const }
          })
      })
    )
    yield* LoggingEngine.log(draft, options).pipe(
      within(more),
      Effect.provide(Layer.fresh(
        LoggingEngine.layer().pipe(
          Layer.provide(catching),
          Layer.provide([PiiStripper.layer(pii), Memory.layer()])
        )
      ))
    )
    return sealed ?? (yield* Effect.die("nothing was sealed"))
  })

/** What a sealed event holds, to make another of: a spread of one is empty. */
export const fieldsOf = (event: DatasetEvent.Sealed): DatasetEvent.SealedFields => ({
  eventId: event.eventId,
  tenantId: event.tenantId,
  env: event.env,
  trainOk: event.trainOk,
  piiFlags: event.piiFlags,
  recordedAtMillis: event.recordedAtMillis,
  commitment: event.commitment,
  salt: event.salt,
  body: event.body,
  keys: event.keys,
  idempotency: event.idempotency,
  policy: event.policy,
  repeated: event.repeated
})

/** A folder that is removed with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-audit-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A path for a store in a folder of its own. */
export const temporaryFile = Effect.map(temporaryFolder, (folder) => join(folder, "audit.db"))

export const memory = AuditLogger.layer().pipe(Layer.provideMerge(Memory.layer()))

/** The engine and the logger over any sink. */
export const over = <E, R>(sink: Layer.Layer<EventSink.EventSink, E, R>, options: LoggingEngine.Options = {}) =>
  AuditLogger.layerEngine.pipe(
    Layer.provideMerge(LoggingEngine.layer(options)),
    Layer.provide(sink),
    Layer.provide([PiiStripper.layer(), Memory.layer()])
  )

/** The logger and a store in a file. */
export const sqliteAt = (options: Sqlite.Options) => AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer(options)))

/** The events that a store holds of a log, as they are stored; oldest first. */
export const storedEvents = Effect.gen(function*() {
  const store = yield* LogStore.LogStore
  const found = yield* store.log(log)
  return found === undefined
    ? []
    : (yield* Stream.runCollect(store.events(found))).flat()
})

/** The logger over memory with a stripper or preferences of one's own. */
export const memoryWith = <E = never, R = never>(parts: {
  readonly stripper?: Layer.Layer<PiiStripper.PiiStripper, E, R>
  readonly preferences?: Layer.Layer<TrainingPreferences.TrainingPreferences, E, R>
  readonly engine?: LoggingEngine.Options
}) =>
  AuditLogger.layerEngine.pipe(
    Layer.provideMerge(LoggingEngine.layer(parts.engine)),
    Layer.provide(parts.stripper ?? PiiStripper.layer()),
    Layer.provide(parts.preferences ?? Layer.empty),
    Layer.provideMerge(Memory.layer()),
    Layer.fresh
  )

/** What a store in memory is written by. */
export interface Writers {
  readonly sink: EventSink.EventSink["Service"]
  readonly transactions: Transactions.Transactions["Service"]
}

/** The logger over one store in memory whose sink or transactions are wrapped; what it stored can be read. */
export const wrapped = (wrap: (writers: Writers) => Partial<Writers>, options: LoggingEngine.Options = {}) => {
  const store = Layer.effectContext(Effect.gen(function*() {
    const services = yield* Effect.context<Memory.AuditStore>()
    const writers = {
      sink: Context.get(services, EventSink.EventSink),
      transactions: Context.get(services, Transactions.Transactions)
    }
    const { sink, transactions } = { ...writers, ...wrap(writers) }
    return services.pipe(
      Context.add(EventSink.EventSink, sink),
      Context.add(Transactions.Transactions, transactions)
    )
  })).pipe(Layer.provide(Memory.layer()))
  return Layer.fresh(AuditLogger.layer(options).pipe(Layer.provideMerge(store)))
}

/** A key, and where its signer keeps its state. */
export interface SignerOptions {
  readonly key: SigningKey.SigningKey
  readonly state: string
  readonly newSigner?: boolean
}

/** The ledger and erasure over a file, with a signer if there is a key: everything that an application has. */
export const ledgerAt = (options: Sqlite.Options, signer?: SignerOptions | undefined) =>
  Layer.mergeAll(
    signer === undefined
      ? Ledger.layer
      : Ledger.layerOnDemand.pipe(Layer.provide(Signer.layer({ key: signer.key }))),
    Erasure.layer
  ).pipe(Layer.provideMerge(sqliteAt({ ...options, signer })))

/** Everything that an application has, over a medium; its signer's key is new. */
export const everythingOver = <E, R>(
  medium: (signer: { readonly state: string; readonly newSigner: boolean }) => Layer.Layer<Memory.AuditStore, E, R>
) =>
  Layer.unwrap(Effect.map(ledgerFiles, ({ key, signer }) =>
    Layer.mergeAll(Ledger.layerOnDemand, Erasure.layer).pipe(
      Layer.provideMerge(Signer.layer({ key })),
      Layer.provideMerge(AuditLogger.layer()),
      Layer.provideMerge(medium({ state: signer.state, newSigner: true })),
      Layer.fresh
    )))

/** The ledger of a file that is opened for reading only. */
export const ledgerReading = (filename: string) =>
  Ledger.layer.pipe(Layer.provide(SqliteLogStore.layerReadOnly({ filename })))

/** A fresh file with a key beside it, whose signer is new. */
export const ledgerFiles = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const key = yield* SigningKey.generate(join(folder, "key"), "test/signer")
  const filename = join(folder, "audit.db")
  return { folder, filename, key, signer: { key, state: join(folder, "key.state"), newSigner: true } }
})

/** A whole stack over a fresh file. */
export const sqlite = Layer.unwrap(Effect.map(temporaryFile, (filename) => sqliteAt({ filename })))

/** A time that all that was recorded is before, and that may be erased: another clock may be ahead. */
export const soon = Effect.map(Clock.currentTimeMillis, (now) => now + 30_000)

/** A folder on a disk of this size, as `mount` says it. */
export const smallDisk = (size: string) =>
  Effect.tap(temporaryFolder, (folder) =>
    Effect.acquireRelease(
      Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder])),
      () => Effect.sync(() => execFileSync("umount", ["-l", folder]))
    ))
