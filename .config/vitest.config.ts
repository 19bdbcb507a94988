import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { compileCache } from "./compile-cache.ts"
import { LongestFirst } from "./longest-first.ts"
import { skippedReporter } from "./real-servers.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const results = process.env["VITEST_RESULTS"]

export default defineConfig({
  root,
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", ".config/**/*.test.ts"],
    // Two cores, and tests that wait half of their time: files side by side, but not more than the machine has room for.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // On a busy machine a server takes seconds to start, and a test may start several.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    globalSetup: [".config/real-servers.ts", ".config/compile-cache.ts"],
    env: { NODE_COMPILE_CACHE: compileCache },
    reporters: ["default", skippedReporter, ...(results === undefined ? [] : ["json"])],
    ...(results === undefined ? {} : { outputFile: { json: results } }),
    coverage: { include: ["packages/*/src/**/*.ts"], reportsDirectory: "coverage" }
  }
})
