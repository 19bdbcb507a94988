/** The agent server as its users start it, with an inspector at its side that can have its garbage collected. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { connect } from "./inspector.ts"
import { keys } from "./requests.ts"

const main = fileURLToPath(new URL("../../../../examples/agent-server/src/main.ts", import.meta.url))

/** What of the memory is in use once everything that nobody can reach is gone. In bytes. */
interface Memory {
  readonly heap: number
  readonly external: number
  readonly resident: number
}

/** A server that runs. */
export interface Server {
  readonly origin: string
  /** Collects its garbage, and looks. */
  readonly memory: () => Promise<Memory>
  /** A family of `/metrics` by name: the values of its series by their labels, as they are written there. */
  readonly metrics: () => Promise<(name: string) => ReadonlyMap<string, number>>
  readonly stop: () => Promise<void>
}

/** Starts it with nothing else on the machine: SQLite in a folder of its own, and simulated providers. */
export const start = async (): Promise<Server> => {
  const folder = mkdtempSync(join(tmpdir(), "soak-"))
  const child = spawn(process.execPath, ["--inspect=127.0.0.1:0", main], {
    env: {
      PATH: process.env["PATH"],
      PORT: "0",
      DATA_DIR: folder,
      ADMIN_KEY: keys.admin,
      API_KEYS: `soak:${keys.caller}:unlimited`,
      LOG_FORMAT: "json",
      PRE_STOP_DELAY: "0"
    },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const kill = async () => {
    child.kill("SIGTERM")
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000)
    await ended
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
  const { inspectorUrl, origin } = await new Promise<{ readonly inspectorUrl: string; readonly origin: string }>(
    (resolve, reject) => {
      let said: string | undefined = ""
      const look = (text: string) => {
        // Whatever it says later is of no interest, and not kept.
        if (said === undefined) return
        said += text
        const origin = /agent-server is up at (http\S+)/.exec(said)?.[1]
        const inspectorUrl = /Debugger listening on (ws\S+)/.exec(said)?.[1]
        if (origin === undefined || inspectorUrl === undefined) return
        said = undefined
        resolve({ origin, inspectorUrl })
      }
      child.stdout.setEncoding("utf8").on("data", look)
      child.stderr.setEncoding("utf8").on("data", look)
      void ended.then(() => reject(new Error(`the server ended: ${said ?? ""}`)))
    }
  )
  const inspector = await connect(inspectorUrl)
  return {
    origin,
    memory: async () => {
      await inspector.collectGarbage()
      const usage: NodeJS.MemoryUsage = JSON.parse(await inspector.evaluate("JSON.stringify(process.memoryUsage())"))
      return { heap: usage.heapUsed, external: usage.external, resident: usage.rss }
    },
    metrics: async () => familiesIn(await (await fetch(`${origin}/metrics`)).text()),
    stop: async () => {
      // A process that is inspected waits for its inspector to leave.
      inspector.close()
      await kill()
    }
  }
}

const familiesIn = (text: string): (name: string) => ReadonlyMap<string, number> => {
  const families = new Map<string, Map<string, number>>()
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const family = families.get(name) ?? new Map<string, number>()
    families.set(name, family.set(labels, Number(value)))
  }
  return (name) => families.get(name) ?? new Map()
}
