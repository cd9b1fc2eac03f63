import { defineConfig } from "vitest/config"
import base from "./vitest.config.ts"

/**
 * The tests that mutants are run against: without those that start processes or read the sources. `MUTATION_TESTS` names
 * the test files instead, separated by commas: the `--testFiles` of Stryker leaves mutants of constants inactive.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: process.env["MUTATION_TESTS"]?.split(",") ?? ["test/**/*.test.ts"],
    exclude: [
      "test/cli/**",
      "test/examples/**",
      "test/pii/**",
      "test/package.test.ts",
      "test/readme.test.ts",
      "test/tidy.test.ts"
    ],
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})
