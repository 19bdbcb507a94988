/**
 * What Node has compiled once, it need not compile again: tests start the server some hundred times.
 *
 * Node writes its cache when a process ends by itself, and many servers of tests are killed. So before the first tests there
 * is one that ends by itself.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The value of `NODE_COMPILE_CACHE` for the processes that tests start. */
export const compileCache = join(root, "node_modules", ".node-compile-cache")

/** Vitest's global set-up: fills the cache where there is none, with a start that is refused. */
export default () => {
  if (existsSync(compileCache)) return
  spawnSync(process.execPath, [join(root, "examples", "agent-server", "src", "main.ts")], {
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, PORT: "none" },
    timeout: 30_000
  })
}
