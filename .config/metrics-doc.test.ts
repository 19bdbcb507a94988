/** The catalogue in the documentation is the one in the code. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

describe("docs/reference/metrics.md", () => {
  it("says what the catalogue says", () => {
    const script = fileURLToPath(new URL("metrics-doc.mjs", import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" })
    assert.strictEqual(stderr, "")
    assert.strictEqual(status, 0)
  })
})
