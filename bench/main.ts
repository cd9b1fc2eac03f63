/** `npm run bench [-- emit|query] [quick]` */
import * as Effect from "effect/Effect"
import * as Emit from "./emit.bench.ts"

await Effect.runPromise(Emit.run(process.argv.includes("quick")))
