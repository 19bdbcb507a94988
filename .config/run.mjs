/**
 * The two commands of the README, and the checks behind them.
 *
 *   node .config/run.mjs start   install what is missing, run the agent server
 *   node .config/run.mjs test    install what is missing, run every test
 *   node .config/run.mjs check   types, lint, format, type tests, doc examples, package checks, build
 *
 * Runs on any Node >= 20 with nothing installed: it uses only Node's own modules, installs the workspace with a
 * pinned pnpm when the lockfile changed, then continues on the Node version the workspace brings.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const bin = join(root, "node_modules", ".bin")
const stampFile = join(root, "node_modules", ".installed")

const fail = (sentence) => {
  console.error(sentence)
  process.exit(1)
}

const requireNode = () => {
  const major = Number(process.versions.node.split(".")[0])
  if (major < 20) fail(`effect-resilience needs Node 20 or newer; this is Node ${process.versions.node}.`)
}

/** Changes whenever an install would change something. */
const installStamp = () => {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`)
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"]) {
    hash.update(readFileSync(join(root, file)))
  }
  return hash.digest("hex")
}

const installed = (stamp) =>
  existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp && existsSync(join(bin, "node"))

const install = () => {
  const stamp = installStamp()
  if (installed(stamp)) return
  console.log("Installing dependencies (the first run takes a minute) ...")
  rmSync(stampFile, { force: true })
  const args = ["-y", manifest.packageManager, "install", "--frozen-lockfile", "--reporter=append-only"]
  const result = spawnSync("npx", args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, CI: "true" },
    shell: process.platform === "win32"
  })
  if (result.error !== undefined) fail(`npm is needed to install dependencies: ${result.error.message}.`)
  if (result.status !== 0) {
    console.error(`${result.stdout}${result.stderr}`)
    fail("The dependencies could not be installed; the lines above say why. Is the npm registry reachable?")
  }
  mkdirSync(dirname(stampFile), { recursive: true })
  writeFileSync(stampFile, stamp)
}

/** The environment of a script run through pnpm: the workspace's binaries first, its own Node among them. */
const workspaceEnv = () => ({ ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` })

/** Runs a command in place of this process: same streams, signals passed on, same exit code. */
const become = (command, args, options = {}) => {
  const child = spawn(command, args, { cwd: root, env: workspaceEnv(), stdio: "inherit", ...options })
  // A terminal sends Ctrl-C to the whole group; the child decides when to stop, this process waits for it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => signal === "SIGINT" && process.stdin.isTTY ? undefined : child.kill(signal))
  }
  // npm ends the shell between it and this process, and leaves this process running.
  const parent = process.ppid
  setInterval(() => process.ppid === parent ? undefined : child.kill("SIGTERM"), 250).unref()
  child.on("error", (error) => fail(`${command} could not be started: ${error.message}.`))
  child.on("exit", (code, signal) => process.exit(signal === null ? code ?? 1 : 128 + constants.signals[signal]))
}

const start = (args) => {
  become(join(bin, "node"), [join("examples", "agent-server", "src", "main.ts"), ...args])
}

const vitest = join("node_modules", "vitest", "vitest.mjs")

const test = (args) => become(join(bin, "node"), [vitest, "run", "--config", ".config/vitest.config.ts", ...args])

const check = (args) => become(join(bin, "node"), [".config/check.mjs", ...args])

const commands = { start, test, check, install: () => undefined }
const [name = "", ...args] = process.argv.slice(2)
const command = commands[name]
if (command === undefined) fail(`Usage: node .config/run.mjs ${Object.keys(commands).join("|")}`)
requireNode()
install()
command(args)
