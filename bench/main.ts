/**
 * `npm run bench [-- emit | query | pii | ledger | http [slow] | middleware | turn | fair | postgres | postgres-query |
 * relay | agents] [quick]`
 */
import * as Effect from "effect/Effect"
import * as Agents from "./agents.bench.ts"
import * as Emit from "./emit.bench.ts"
import * as Fair from "./fair.bench.ts"
import * as Http from "./http.bench.ts"
import * as Ledger from "./ledger.bench.ts"
import * as Pii from "./pii.bench.ts"
import * as PostgresBench from "./postgres.bench.ts"
import * as PostgresQuery from "./postgresQuery.bench.ts"
import * as Query from "./query.bench.ts"
import * as RelayBench from "./relay.bench.ts"
import * as Turn from "./turn.bench.ts"

const quick = process.argv.includes("quick")
const chosen = [
  "emit",
  "query",
  "pii",
  "ledger",
  "http",
  "middleware",
  "turn",
  "fair",
  "postgres",
  "postgres-query",
  "relay",
  "agents"
]
  .filter((name) => process.argv.includes(name))
const wants = (name: string) => chosen.length === 0 || chosen.includes(name)

if (wants("emit")) await Effect.runPromise(Emit.run(quick))
if (wants("query")) await Effect.runPromise(Query.run(quick))
if (wants("pii")) Pii.run()
if (wants("turn")) Turn.run(quick)
if (wants("fair")) await Effect.runPromise(Fair.run)
if (wants("http")) await Http.run(quick, process.argv.includes("slow"))
if (wants("middleware")) await Http.run(quick, false, "middleware")
if (wants("postgres")) await PostgresBench.run(quick)
if (wants("postgres-query")) await PostgresQuery.run(quick)
if (wants("agents")) await Effect.runPromise(Agents.run(quick))
if (wants("relay")) await Effect.runPromise(RelayBench.run(quick))
if (wants("ledger")) await Effect.runPromise(Ledger.run(quick))
