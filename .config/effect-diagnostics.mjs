/** Effect's own diagnostics (floating effects, missing yields, wrong layers) over every project; a warning fails. */
import { spawnSync } from "node:child_process"
import { globSync } from "node:fs"
import { join } from "node:path"
import { root } from "./packages.mjs"

const projects = globSync(
  ["packages/*/tsconfig.{src,test}.json", "packages/benchmarks/tsconfig.json", "examples/*/tsconfig.json"],
  { cwd: root }
).toSorted()
const failed = projects.filter((project) => {
  const args = ["diagnostics", "--project", join(root, project), "--format", "text", "--strict"]
  const { status, stderr, stdout } = spawnSync("effect-tsgo", args, { cwd: root, encoding: "utf8" })
  // The files that it knew how to check are named in its last lines: none means that it did not understand the project.
  const checked = /Checked ([1-9]\d*) files/.test(stdout)
  if (status !== 0 || !checked) console.error(`${project}\n${stdout}${stderr}`)
  return status !== 0 || !checked
})
console.log(`${projects.length} projects, ${failed.length} with diagnostics`)
process.exitCode = failed.length === 0 ? 0 : 1
