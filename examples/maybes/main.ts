/**
 * Starts Maybes, plays a session against it, prints the trail, and keeps serving until Ctrl-C.
 *
 *     npm start              on port 3000, or the one in PORT
 *     npm start -- --once    on any free port, and ends after printing
 */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Logger } from "effect"
import { HttpServer } from "effect/http"
import { mkdirSync } from "node:fs"
import { auditLayer, serverLayer } from "./server.ts"
import { play, printTrail } from "./session.ts"

const once = process.argv.includes("--once")
const filename = process.env["MAYBES_DB"] ?? ".data/maybes.db"
const wanted = Number(process.env["PORT"] ?? 3000)

const curl = (baseUrl: string) => `
Maybes is listening on ${baseUrl}. Try:

  curl -si ${baseUrl}/notes -H 'authorization: Bearer ada-token' \\
    -H 'x-project-id: ideas' -H 'x-surface: web' \\
    -H 'content-type: application/json' -d '{"text": "Maybe call +1 415 555 0132"}'
  curl -s ${baseUrl}/notes -H 'authorization: Bearer ada-token' -H 'x-project-id: ideas' -H 'x-surface: web'
  npm run -s cli -- query --db ${filename} --tenant t_acme --env prod

The trail in a browser: ${baseUrl}/audit/viewer#token=ada-token

Ctrl-C to stop.`

const program = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  if (address._tag === "UnixPathAddress") return
  const baseUrl = `http://127.0.0.1:${address.port}`
  yield* Console.log(`Maybes keeps notes and their audit log in ${filename}`)
  const runId = yield* play(baseUrl, filename)
  yield* printTrail(runId)
  if (once) return
  yield* Console.log(curl(baseUrl))
  return yield* Effect.never
})

/** The wanted port, or any if that is taken. */
const server = once ? serverLayer(0) : serverLayer(wanted).pipe(
  Layer.catchCause((cause) =>
    Layer.unwrap(Effect.as(
      Console.log(`Port ${wanted} cannot be used (${String(cause.reasons[0]?._tag)}): taking a free one.`),
      serverLayer(0)
    ))
  )
)

mkdirSync(".data", { recursive: true })
NodeRuntime.runMain(
  program.pipe(
    Effect.provide(Layer.provideMerge(server, auditLayer(filename))),
    Effect.provide([NodeHttpClient.layerUndici, Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])])
  )
)
