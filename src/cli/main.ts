#!/usr/bin/env node
/**
 * The program `effect-audit`.
 *
 * Needs the optional peer `@effect/platform-node`, and says so when it is missing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer, type Server, type ServerResponse } from "node:http"
import { run } from "./command.ts"
import { exitCode, Failed } from "./exit.ts"
import { Listener } from "./serve.ts"

/** No server, and why. */
const refused = (message: string): ReturnType<Listener["Service"]["listen"]> =>
  Layer.unwrap(Effect.fail(new Failed({ message })))

/** A server that, once closed, lets go of who follows the log, which would be for ever; it waits for all others. */
const server = (): Server => {
  const following = new Set<ServerResponse>()
  const server = createServer().on("request", ({ url = "" }, response) => {
    if (!/\/events\/tail(?:\?|$)/.test(url)) return
    following.add(response)
    response.once("close", () => following.delete(response))
  })
  const close = server.close.bind(server)
  server.close = (closed) => {
    for (const response of following) response.destroy()
    return close(closed)
  }
  return server
}

const platform = await Promise.all([
  import("@effect/platform-node/NodeHttpServer"),
  import("@effect/platform-node/NodeRuntime"),
  import("@effect/platform-node/NodeServices")
]).catch((cause: unknown) => {
  const missing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
  process.stderr.write(
    missing
      ? "effect-audit: the command line needs @effect/platform-node: npm install @effect/platform-node\n"
      : `effect-audit: @effect/platform-node cannot be loaded: ${String(cause)}\n`
  )
  process.exitCode = 2
})

if (Array.isArray(platform)) {
  const [NodeHttpServer, NodeRuntime, NodeServices] = platform
  const listener = Listener.of({
    listen: ({ host, port }) =>
      Layer.catchTag(
        NodeHttpServer.layer(server, { host, port }),
        "ServeError",
        () => refused(`${host}:${port} cannot be listened on: is it taken? (--port)`)
      )
  })
  let interrupted = 130
  process.once("SIGTERM", () => interrupted = 143)
  const program = run(process.argv.slice(2)).pipe(
    Effect.provideService(Listener, listener),
    Effect.provide(NodeServices.layer)
  )
  NodeRuntime.runMain(program, {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitCode(exit, interrupted))
  })
}
