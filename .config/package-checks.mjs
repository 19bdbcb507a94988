/**
 * Packs each published package as it would be uploaded and checks the archive: publint, attw, nothing missing, nothing
 * internal reachable. Then installs the archives in an empty folder and imports every public module.
 */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { modulesOf, published, root } from "./packages.mjs"

const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const folder = mkdtempSync(join(tmpdir(), "package-checks-"))
const problems = []

const run = (command, args, cwd = root) => {
  const { status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8" })
  if (status !== 0) problems.push(`${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return status === 0
}

/** Packs a package and unpacks it below `node_modules` of the empty folder. */
const install = ({ folder: source, name }) => {
  const archive = join(folder, `${name.replace(/[@/]/g, "-")}.tgz`)
  if (!run("npx", ["-y", "--prefer-offline", packageManager, "pack", "--out", archive], source)) return undefined
  const target = join(folder, "node_modules", name)
  mkdirSync(target, { recursive: true })
  return run("tar", ["xzf", archive, "-C", target, "--strip-components=1"]) ? { archive, target } : undefined
}

const check = (pkg) => {
  const installed = install(pkg)
  if (installed === undefined) return
  const { archive, target } = installed
  run("publint", ["--strict", archive])
  run("attw", [archive, "--profile", "esm-only", "--no-emoji", "--quiet"])
  const manifest = readFileSync(join(target, "package.json"), "utf8")
  if (manifest.includes("workspace:")) problems.push(`${pkg.name}: the packed package.json still says "workspace:"`)
  for (const file of globSync("**/*.ts", { cwd: join(pkg.folder, "src") })) {
    for (const ending of [".js", ".d.ts"]) {
      const built = join(target, "dist", file.replace(/\.ts$/, ending))
      if (!existsSync(built)) problems.push(`${pkg.name}: ${file} is not built to ${ending}`)
    }
  }
}

/** Peers and dependencies come from the workspace: what is under test are the archives. */
const linkDependencies = () => {
  for (const { folder: source, manifest } of published) {
    for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      const target = join(folder, "node_modules", dependency)
      const found = join(source, "node_modules", dependency)
      if (existsSync(target) || !existsSync(found)) continue
      mkdirSync(join(target, ".."), { recursive: true })
      symlinkSync(found, target)
    }
  }
}

const importEverything = () => {
  const modules = published.flatMap((pkg) => [pkg.name, ...modulesOf(pkg).map((module) => `${pkg.name}/${module}`)])
  const forbidden = published.flatMap(({ folder: source, name }) =>
    globSync("internal/**/*.ts", { cwd: join(source, "src") }).map((file) => `${name}/${file.replace(/\.ts$/, "")}`)
  )
  const script = `
    for (const name of ${JSON.stringify(modules)}) {
      const module = await import(name)
      if (Object.keys(module).length === 0) throw new Error(name + " exports nothing")
    }
    for (const name of ${JSON.stringify(forbidden)}) {
      const reached = await import(name).then(() => true, (error) => error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED")
      if (reached) throw new Error(name + " can be imported from outside")
    }`
  writeFileSync(join(folder, "import.mjs"), script)
  // Vitest's API can only be loaded inside of vitest: what imports it is left to the tests.
  run("node", [join(folder, "import.mjs")], folder)
}

try {
  for (const pkg of published) check(pkg)
  linkDependencies()
  if (problems.length === 0) importEverything()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const problem of problems) console.error(problem)
console.log(`${published.length} packages checked, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
