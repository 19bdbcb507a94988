import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "vitest"

const folder = mkdtempSync(join(tmpdir(), "oxlint-rooms-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const config = join(folder, "oxlintrc.json")
const plugin = fileURLToPath(new URL("./oxlint-rooms.mjs", import.meta.url))
writeFileSync(
  config,
  JSON.stringify({
    plugins: ["import"],
    jsPlugins: [plugin],
    categories: { correctness: "off" },
    rules: { "rooms/imports": "error", "rooms/no-ambient": "error", "import/no-cycle": "error" }
  })
)

/** The messages of oxlint about a tree of files below the core package's src. */
const lint = (files: Record<string, string>): ReadonlyArray<string> => {
  const tree = mkdtempSync(join(folder, "tree-"))
  for (const [path, code] of Object.entries(files)) {
    const file = join(tree, "packages/resilience/src", path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
  }
  const { stderr, stdout } = spawnSync("oxlint", ["-c", config, "--format", "json", tree], { encoding: "utf8" })
  assert.match(stdout, /^\{/, stderr)
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Array<{ code: string; message: string }> }
  return diagnostics.map(({ code, message }) => `${code}: ${message}`)
}

describe("rooms/imports", () => {
  it.each<[string, Record<string, string>]>([
    ["a policy imports ground", { "Retry.ts": "import * as Signal from \"./Signal.ts\"", "Signal.ts": "export {}" }],
    ["a room imports its internals", { "Retry.ts": "import \"./internal/retry/backoff.ts\"" }],
    ["internals import their room", { "internal/retryBudget/ratio.ts": "import \"../../RetryBudget.ts\"" }],
    ["shared ground imports ground", {
      "internal/a.ts": "import * as Signal from \"../Signal.ts\"",
      "Signal.ts": "export {}"
    }],
    ["anyone imports shared ground", { "internal/retry/a.ts": "import \"../options.ts\"" }],
    ["a retry policy draws on its budget", { "Retry.ts": "import \"./RetryBudget.ts\"" }],
    ["compositions import policies", { "Policy.ts": "import \"./CircuitBreaker.ts\"" }],
    ["http imports anything", { "http/Admission.ts": "import \"../Policy.ts\"\nimport \"../Metrics.ts\"" }],
    ["subpaths of effect", { "Retry.ts": "import * as Effect from \"effect/Effect\"\nimport \"effect/sql/SqlError\"" }],
    ["the barrel exports modules", { "index.ts": "export * as Retry from \"./Retry.ts\"" }]
  ])("allows that %s", (_, files) => {
    assert.deepStrictEqual(lint(files), [])
  })

  it.each<[string, Record<string, string>, RegExp]>([
    [
      "siblings",
      { "Bulkhead.ts": "import \"./CircuitBreaker.ts\"" },
      /Bulkhead \(policy\) may not import CircuitBreaker/
    ],
    ["siblings by type", { "Hedge.ts": "import type { X } from \"./Retry.ts\"" }, /Hedge \(policy\) may not import/],
    ["siblings by export", { "Hedge.ts": "export * from \"./Retry.ts\"" }, /Hedge \(policy\) may not import/],
    ["ground that looks up", { "Signal.ts": "import \"./Retry.ts\"" }, /Signal \(ground\) may not import Retry/],
    ["listeners of policies", { "Metrics.ts": "import \"./Retry.ts\"" }, /Metrics \(listener\) may not import Retry/],
    [
      "another room's internals",
      { "Policy.ts": "import \"./internal/retry/call.ts\"" },
      /internals of Retry are its own/
    ],
    ["shared ground with a room", { "internal/options.ts": "import \"../Retry.ts\"" }, /Shared ground imports no room/],
    ["the effect barrel", { "Retry.ts": "import { Effect } from \"effect\"" }, /Import a subpath/],
    ["Node's modules", { "Retry.ts": "import \"node:fs\"" }, /Only subpaths of "effect"/],
    ["other packages", { "Retry.ts": "import \"lodash\"" }, /Only subpaths of "effect"/],
    ["other packages, later", { "Retry.ts": "export const x = () => import(\"lodash\")" }, /Only subpaths of "effect"/],
    ["a way out", { "Retry.ts": "import \"../../node/src/x.ts\"" }, /leaves the package's src/],
    ["the own barrel", { "Retry.ts": "import \"./index.ts\"" }, /Import the module, not the barrel/],
    ["unknown rooms", { "Retry.ts": "import \"./Attic.ts\"" }, /"Attic" has no floor/],
    [
      "cycles",
      {
        "internal/a.ts": "import { b } from \"./b.ts\"\nexport const a = () => b",
        "internal/b.ts": "import { a } from \"./a.ts\"\nexport const b = () => a"
      },
      /no-cycle/
    ]
  ])("refuses %s", (_, files, message) => {
    assert.match(lint(files).join("\n"), message)
  })
})

describe("rooms/no-ambient", () => {
  it.each<[string, RegExp]>([
    ["export const x = Date.now()", /Clock or DateTime/],
    ["export const x = new Date()", /Clock or DateTime/],
    ["export const x = Math.random()", /Random/],
    ["export const x = process.env", /Config/],
    ["export const x = async () => 1", /not an async function/],
    ["export async function x() {}", /not an async function/],
    ["export const x = { async y() {} }", /not an async function/],
    ["await x", /yield\* it/],
    ["export const x = new Promise(() => {})", /Effect/],
    ["setTimeout(() => {}, 1)", /Effect.sleep/],
    ["console.log(1)", /Effect.log/]
  ])("refuses %s", (code, message) => {
    assert.match(lint({ "Retry.ts": code }).join("\n"), message)
  })

  it("leaves own names and types alone", () => {
    const code = "const process = (x: Date): Promise<Date> | Date => x\nexport const y = process"
    assert.deepStrictEqual(lint({ "Retry.ts": code }), [])
  })
})
