/** The audit store in a SQLite file, over `node:sqlite`. */
export * as SqliteClient from "./SqliteClient.ts"
export * as SqliteLedger from "./SqliteLedger.ts"
export * as SqlitePreferences from "./SqlitePreferences.ts"
export * as SqliteSigner from "./SqliteSigner.ts"
export * as SqliteSink from "./SqliteSink.ts"
export * as SqliteTrail from "./SqliteTrail.ts"
