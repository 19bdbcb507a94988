/** Runs every check that is not a test, in turn, and says how each ended. `node .config/check.mjs [name ...]` */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const checks = [
  "types",
  "effect-diagnostics",
  "lint",
  "format:check",
  "typetest",
  "metrics-doc",
  "doc-examples",
  "knip",
  "build",
  "package-checks",
  "sizes"
]

const wanted = process.argv.slice(2)
const results = checks.filter((name) => wanted.length === 0 || wanted.includes(name)).map((name) => {
  const started = performance.now()
  const result = spawnSync(scripts[name], {
    cwd: root,
    shell: true,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}` }
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const passed = result.status === 0
  console.log(`${passed ? "ok    " : "FAILED"} ${name} (${seconds} s)`)
  if (!passed) console.log(`${result.stdout}${result.stderr}`)
  return passed
})
const failed = results.filter((passed) => !passed).length
console.log(`checks: ${results.length - failed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
