/** The store that a verb works on: a file, or what an application's configuration says. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { AuditConfig, check, is, isLike } from "../config/AuditConfig.ts"
import { PostgresStore } from "../postgres/Postgres.ts"
import { SqliteStore } from "../sqlite/Sqlite.ts"
import { Failed, UsageError } from "./exit.ts"
import { configured, type Medium, mediumOf } from "./medium.ts"

/** Where the store is; one of the two must be given. */
export const storeFlags = {
  db: Flag.String("db").pipe(
    Flag.optional,
    Flag.withDescription(
      "The store: a SQLite file, or postgres://USER@HOST:PORT/DATABASE; that of the configuration unless given"
    )
  ),
  config: Flag.String("config").pipe(
    Flag.optional,
    Flag.withDescription("The application's configuration: a module whose default export is an AuditConfig")
  )
}

/** What is given of `storeFlags`. */
export interface StoreArgs {
  readonly db: Option.Option<string>
  readonly config: Option.Option<string>
}

/** A store that was found, and how it is written. */
export interface Opened {
  readonly medium: Medium
  readonly config: AuditConfig
}

/** What was thrown may be anything, and telling it may throw. */
const firstLine = (cause: unknown): string => {
  try {
    return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? ""
  } catch {
    return "what it threw cannot be told"
  }
}

/** Loads a configuration. */
export const load = Effect.fnUntraced(function*(file: string): Effect.fn.Return<AuditConfig, Failed> {
  if (!existsSync(file)) return yield* new Failed({ message: `there is no file ${file}` })
  const module: unknown = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(resolve(file)).href),
    catch: (cause) => new Failed({ message: `${file} cannot be loaded: ${firstLine(cause)}` })
  })
  const config = typeof module === "object" && module !== null && "default" in module ? module.default : undefined
  if (is(config)) {
    return yield* Effect.mapError(check(config), ({ reason }) => new Failed({ message: `${file}: ${reason.message}` }))
  }
  return yield* new Failed({
    message: isLike(config)
      ? `${file} was made with another copy of effect-audit than this one: run the application's own (npx effect-audit)`
      : `${file} has no AuditConfig as its default export: export default AuditConfig.make({ ... })`
  })
})

/** Finds the store. */
export const opened = Effect.fnUntraced(function*(
  { config: file, db }: StoreArgs
): Effect.fn.Return<Opened, Failed | UsageError> {
  const config = Option.isNone(file) ? undefined : yield* load(file.value)
  const store = config?.options.store
  const own = store instanceof SqliteStore ? store.options : undefined
  const name = Option.getOrElse(db, () => own?.filename)
  const medium = name !== undefined
    ? yield* mediumOf(name, own)
    : store instanceof PostgresStore
    ? configured(store)
    : undefined
  if (medium === undefined) {
    return yield* config === undefined
      ? new UsageError({ message: "give --db FILE or --config FILE" })
      : new Failed({ message: "the configuration's store is no file and no database: it dies with its process" })
  }
  return { medium, config: config ?? new AuditConfig({ store: new SqliteStore({ filename: name ?? "" }) }) }
})
