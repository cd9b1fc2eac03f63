import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    include: ["test/**/*.test.ts"],
    typecheck: { include: ["test/**/*.test-d.ts"] },
    silent: "passed-only",
    // What tests start as processes is compiled once.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/effect-audit", import.meta.url)) },
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
