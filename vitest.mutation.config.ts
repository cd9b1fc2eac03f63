import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** The tests that mutants are run against: those that start processes, read the sources or take seconds are left out. */
export default mergeConfig(
  base,
  defineConfig({
    test: {
      exclude: [
        "test/cli/**",
        "test/examples/**",
        "test/pii/**",
        "test/package.test.ts",
        "test/readme.test.ts",
        "test/tidy.test.ts"
      ],
      typecheck: { enabled: false },
      testTimeout: 20_000,
      hookTimeout: 20_000
    }
  })
)
