/**
 * Runs the type tests. TSTyche needs the compiler's JavaScript API, which TypeScript 7 does not have yet; the workspace brings
 * TypeScript 6 for it, since TSTyche's own download of one would fail wherever only npm knows the way to the registry.
 */
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const typescript = pathToFileURL(createRequire(import.meta.url).resolve("typescript-api")).href

const { status } = spawnSync("tstyche", ["--root", ".", "--config", ".config/tstyche.json", ...process.argv.slice(2)], {
  cwd: root,
  shell: process.platform === "win32",
  stdio: "inherit",
  env: { ...process.env, TSTYCHE_TYPESCRIPT_MODULE: typescript }
})
process.exit(status ?? 1)
