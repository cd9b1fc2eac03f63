/** `npm run bench [-- emit | query] [quick]` */
import * as Effect from "effect/Effect"
import * as Emit from "./emit.bench.ts"
import * as Query from "./query.bench.ts"

const quick = process.argv.includes("quick")
if (!process.argv.includes("query")) await Effect.runPromise(Emit.run(quick))
if (!process.argv.includes("emit")) await Effect.runPromise(Query.run(quick))
