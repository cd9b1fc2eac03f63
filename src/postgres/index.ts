/** The medium of several instances: PostgreSQL, over the application's own client. */
export * as Postgres from "./Postgres.ts"
export * as PostgresSignerState from "./PostgresSignerState.ts"
