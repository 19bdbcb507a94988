/** Builds `dist` of each published package: tsc, then pure annotations, so that a bundler can drop what is not used. */
import { spawnSync } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { published, root } from "./packages.mjs"

const run = (command, args) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

for (const { folder } of published) {
  rmSync(join(folder, "dist"), { recursive: true, force: true })
  rmSync(join(folder, "build", "src.tsbuildinfo"), { force: true })
}
run("tsc", ["-b", ...published.map(({ folder }) => join(folder, "tsconfig.src.json"))])
for (const { folder } of published) {
  const dist = join(folder, "dist")
  const babel = ["--plugins", "annotate-pure-calls", "--source-maps", "--out-dir", dist, "--quiet", "--no-babelrc"]
  run("babel", [dist, ...babel])
}
