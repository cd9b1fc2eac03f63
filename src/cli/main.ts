#!/usr/bin/env node
/**
 * The program `effect-audit`.
 *
 * Needs the optional peer `@effect/platform-node`, and says so when it is missing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { run } from "./command.ts"
import { exitCode } from "./exit.ts"

const platform = await Promise.all([
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
  const [NodeRuntime, NodeServices] = platform
  let interrupted = 130
  process.once("SIGTERM", () => interrupted = 143)
  NodeRuntime.runMain(run(process.argv.slice(2)).pipe(Effect.provide(NodeServices.layer)), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitCode(exit, interrupted))
  })
}
