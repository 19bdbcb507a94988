/**
 * The servers that are compared, each as its users start it: a process of its own with an environment.
 *
 * Where `taskset` is there, the server has the first processor for itself; the provider and the load share the others.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { type Program, start as startProgram } from "../harness/program.ts"
import type { Load, Report } from "./load.ts"

/** The key of the load, which has no limits. */
export const loadKey = "a-key-for-the-load"

/** The servers by their names in the tables. */
const programs = {
  "agent-server": "../../../../examples/agent-server/src/main.ts",
  Fastify: "../fastify/main.ts",
  "bare Effect": "../bare/main.ts"
} as const

/** A server's name. */
export type Name = keyof typeof programs

/** All of them, ours first. */
export const names: ReadonlyArray<Name> = ["agent-server", "Fastify", "bare Effect"]

const canPin = availableParallelism() > 1 && spawnSync("taskset", ["-c", "0", "true"]).status === 0

/** How a process is kept to its processors: the first is the server's. */
const pinned = (side: "server" | "others", args: ReadonlyArray<string>): [string, ReadonlyArray<string>] =>
  canPin
    ? ["taskset", ["-c", side === "server" ? "0" : `1-${availableParallelism() - 1}`, process.execPath, ...args]]
    : [process.execPath, args]

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** A process that runs. */
interface Running extends Pick<Program, "child" | "stop"> {
  readonly origin: string
}

/**
 * The sessions are in memory where the machine has a file system there: it is the servers that are compared, and one disk
 * of a virtual machine takes longer for a sync than all of the rest of a chat. What is synced is the same.
 */
const dataParent = (onDisk: boolean): string => !onDisk && existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

const start = async (
  program: string,
  side: "server" | "others",
  environment: Readonly<Record<string, string>>,
  onDisk = false
): Promise<Running> => {
  const [command, args] = pinned(side, [program])
  const { child, said: [origin = ""], stop } = await startProgram({
    command,
    args,
    env: { NODE_OPTIONS: process.env["SERVER_NODE_OPTIONS"], ...environment },
    parent: dataParent(onDisk),
    says: [/(?:is up|listening) at (http[^\s"]+)/]
  })
  return { origin, child, stop }
}

/** The instant provider, in a process of its own. */
export const startUpstream = (): Promise<Running> => start(file("upstream.ts"), "others", {})

/** A server under measurement. */
export interface Server extends Running {
  readonly name: Name
  /** Processor seconds that it has used so far. */
  readonly cpuSeconds: () => number
  /** Bytes of it that are in memory. */
  readonly memoryBytes: () => number
}

/** Linux counts processor time in these. */
const ticksPerSecond = 100

/** What is particular to a measurement. */
export interface ServerOptions {
  readonly environment?: Readonly<Record<string, string>> | undefined
  readonly onDisk?: boolean | undefined
}

/** Starts a server with limits so high that nothing of the load is refused. */
export const startServer = async (
  name: Name,
  baseUrl: string,
  { environment = {}, onDisk = false }: ServerOptions = {}
): Promise<Server> => {
  const running = await start(file(programs[name]), "server", {
    HOST: "127.0.0.1",
    PORT: "0",
    OPENAI_BASE_URL: baseUrl,
    OPENAI_API_KEY: "instant",
    API_KEYS: `load:${loadKey}:unlimited`,
    ADMIN_KEY: "an-admin-key-for-the-load",
    LOG_FORMAT: "json",
    AGENT_REQUESTS_PER_MINUTE: "1000000000",
    MAX_IN_FLIGHT: "12000",
    PROVIDER_CONCURRENCY: "12000",
    PROVIDER_REQUESTS_PER_MINUTE: "1000000000",
    PROVIDER_TOKENS_PER_MINUTE: "1000000000000",
    PROVIDER_USD_PER_DAY: "1000000000",
    ...environment
  }, onDisk)
  const status = (path: string) => readFileSync(`/proc/${running.child.pid}/${path}`, "utf8")
  return {
    ...running,
    name,
    cpuSeconds: () => {
      // The second field, the program's name in parentheses, may have spaces in it.
      const fields = status("stat").split(") ")[1]!.split(" ")
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    },
    memoryBytes: () => Number(/VmRSS:\s+(\d+)/.exec(status("status"))?.[1]) * 1024
  }
}

/** Runs a load to its end. `whileHeld` is called when all streams of a held load are open. */
export const load = (what: Load, whileHeld: () => Promise<void> = async () => {}): Promise<Report> => {
  const [command, args] = pinned("others", [file("load.ts"), JSON.stringify(what)])
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  return new Promise((resolve, reject) => {
    let said = ""
    let report: Report | undefined
    child.stdout.setEncoding("utf8")
    child.stdout.on("data", (chunk: string) => {
      said += chunk
      if (report !== undefined || !said.endsWith("\n")) return
      report = JSON.parse(said, (_, value: unknown) => value === null ? Infinity : value) as Report
      void whileHeld().finally(() => child.stdin.end())
    })
    child.once("exit", () => report === undefined ? reject(new Error(`the load failed: ${said}`)) : resolve(report))
  })
}
