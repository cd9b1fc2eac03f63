/** The embedded medium: one SQLite file, with the application's own tables. */
export * as Sqlite from "./Sqlite.ts"
export * as SqliteClient from "./SqliteClient.ts"
export * as SqliteLogStore from "./SqliteLogStore.ts"
export * as SqlitePreferences from "./SqlitePreferences.ts"
export * as SqliteSignerState from "./SqliteSignerState.ts"
export * as SqliteSink from "./SqliteSink.ts"
export * as SqliteTrail from "./SqliteTrail.ts"
export * as SqliteWritePolicy from "./SqliteWritePolicy.ts"
