/** What several tests need: contexts, whole stacks in memory and over a file, and temporary folders. */
import { Effect, Layer } from "effect"
import {
  AuditLogger,
  type DatasetEvent,
  EventSink,
  LoggingEngine,
  PiiStripper,
  RequestContext,
  TrainingPreferences
} from "effect-audit"
import { SigningKey } from "effect-audit/ledger"
import {
  SqliteClient,
  SqliteLedger,
  SqlitePreferences,
  SqliteSigner,
  SqliteSink,
  SqliteTrail
} from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
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
  more: Partial<RequestContext.Json> = {}
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
      Effect.provide(Layer.fresh(LoggingEngine.layer.pipe(
        Layer.provide([catching, PiiStripper.layer, TrainingPreferences.layerMemory])
      )))
    )
    return sealed ?? (yield* Effect.die("nothing was sealed"))
  })

/** A folder that is removed with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-audit-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A path for a store in a folder of its own. */
export const temporaryFile = Effect.map(temporaryFolder, (folder) => join(folder, "audit.db"))

export const memory = Layer.mergeAll(AuditLogger.layer, AuditTrail.layerMemory).pipe(
  Layer.provideMerge(LoggingEngine.layer),
  Layer.provideMerge(Layer.mergeAll(EventSink.layerMemory, PiiStripper.layer, TrainingPreferences.layerMemory))
)

/** The engine and the logger over any sink. */
export const over = <E, R>(sink: Layer.Layer<EventSink.EventSink, E, R>, options: LoggingEngine.Options = {}) =>
  AuditLogger.layer.pipe(
    Layer.provideMerge(LoggingEngine.layerWith(options)),
    Layer.provide([sink, PiiStripper.layer, TrainingPreferences.layerMemory])
  )

export const sqliteAt = (options: SqliteClient.Options & SqliteSink.Options) =>
  Layer.mergeAll(AuditLogger.layer, SqliteTrail.layer).pipe(
    Layer.provideMerge(LoggingEngine.layer),
    Layer.provideMerge(Layer.mergeAll(SqliteSink.layerWith(options), SqlitePreferences.layer, PiiStripper.layer)),
    Layer.provideMerge(SqliteClient.layer(options))
  )

/** The ledger over a file, with a signer if there is a key: everything that an application has. */
export const ledgerAt = (
  options: SqliteClient.Options & SqliteSink.Options,
  signer?: SqliteSigner.Options | undefined
) =>
  (signer === undefined
    ? SqliteLedger.layer
    : SqliteLedger.layerOnDemand.pipe(Layer.provide(SqliteSigner.layer(signer)))).pipe(
      Layer.provideMerge(sqliteAt(options))
    )

/** A fresh file with a key beside it, whose signer is new. */
export const ledgerFiles = Effect.gen(function*() {
  const folder = yield* temporaryFolder
  const key = yield* SigningKey.generate(join(folder, "key"), "test/signer")
  const filename = join(folder, "audit.db")
  return { folder, filename, key, signer: { key, state: join(folder, "key.state"), newSigner: true } }
})

/** A whole stack over a fresh file. */
export const sqlite = Layer.unwrap(Effect.map(temporaryFile, (filename) => sqliteAt({ filename })))
