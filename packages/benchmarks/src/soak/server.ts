/** The agent server as its users start it, with an inspector at its side that can have its garbage collected. */
import { fileURLToPath } from "node:url"
import { start as startProgram } from "../harness/program.ts"
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
  const { said: [origin = "", inspectorUrl = ""], stop } = await startProgram({
    command: process.execPath,
    args: ["--inspect=127.0.0.1:0", main],
    env: {
      PORT: "0",
      ADMIN_KEY: keys.admin,
      API_KEYS: `soak:${keys.caller}:unlimited`,
      LOG_FORMAT: "json",
      PRE_STOP_DELAY: "0"
    },
    says: [/agent-server is up at (http\S+)/, /Debugger listening on (ws\S+)/]
  })
  const inspector = await connect(inspectorUrl).catch(async (error: unknown) => {
    await stop()
    throw error
  })
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
      await stop()
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
