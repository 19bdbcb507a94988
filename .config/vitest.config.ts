import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const root = fileURLToPath(new URL("..", import.meta.url))
const results = process.env["VITEST_RESULTS"]

export default defineConfig({
  root,
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", ".config/**/*.test.ts"],
    // Two cores: files side by side, but not more of them than the machine has room for.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: results === undefined ? ["default"] : ["default", "json"],
    ...(results === undefined ? {} : { outputFile: { json: results } }),
    coverage: { include: ["packages/*/src/**/*.ts"], reportsDirectory: "coverage" }
  }
})
