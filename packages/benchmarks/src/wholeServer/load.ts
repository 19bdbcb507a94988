/**
 * Puts a server under load, and tells how it went. A program of its own: its one argument is a {@link Load} as JSON, and
 * it writes a {@link Report} to standard output. Loads are bounded in time and number.
 *
 * - `closed`: so many connections, each with one request at a time, as fast as the server answers.
 * - `paced`: so many requests a second, whether the server keeps up or not. The latency of a request counts from when it was
 *   to be sent: one that had to wait for a connection has waited for the server.
 * - `held`: so many streams that stay open. It says when all have begun, and closes them when its standard input ends.
 */
import { Client, type Dispatcher } from "undici"
import { percentile } from "../harness/scenario.ts"
import { heldWord } from "./upstream.ts"

/** What to do to a server. `key` is an API key without limits. */
export interface Load {
  readonly kind: "closed" | "paced" | "held"
  readonly origin: string
  readonly key: string
  readonly stream: boolean
  readonly connections: number
  readonly seconds: number
  /** Requests a second, of a paced load. */
  readonly rate?: number | undefined
}

/** How it went. Latencies are in milliseconds; a request that was not answered has waited forever. */
export interface Report {
  readonly answered: number
  readonly failed: number
  /** What the first failures were. */
  readonly failures: ReadonlyArray<string>
  readonly perSecond: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

const { connections, key, kind, origin, rate = 1, seconds, stream }: Load = JSON.parse(process.argv[2] ?? "{}")

const agents = ["travel_planner", "viva_examiner"]
const message = "Three days in Lisbon, by train, not too expensive, with a child of seven?"

const request = (turn: number, said: string): Dispatcher.DispatchOptions => ({
  path: `/v1/agents/${agents[turn % agents.length]}/chat`,
  method: "POST",
  headers: { "content-type": "application/json", "x-api-key": key },
  body: JSON.stringify({ message: said, ...(stream ? { stream } : {}) })
})

const clients = Array.from(
  { length: connections },
  () => new Client(origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
)

const latencies: Array<number> = []
const failures: Array<string> = []
let failed = 0

/** Sends a chat. `onEnd` hears whether it was answered as it should be. */
const chat = (client: Client, turn: number, onEnd: (failure: string | undefined) => void): void => {
  let status = 0
  let last = ""
  client.dispatch(request(turn, message), {
    onRequestStart: () => {},
    onResponseStart: (_, statusCode) => {
      status = statusCode
    },
    onResponseData: (_, chunk) => {
      last = chunk.toString("latin1")
    },
    onResponseEnd: () => {
      const complete = stream ? last.includes("event: done") : last.endsWith("}")
      onEnd(status === 200 && complete ? undefined : `${status} ${last.slice(0, 300)}`)
    },
    onResponseError: (_, error) => onEnd(String(error))
  })
}

const count = (since: number, failure: string | undefined): void => {
  if (failure === undefined) {
    latencies.push(performance.now() - since)
  } else {
    failed++
    if (failures.length < 3) failures.push(failure)
  }
}

const closed = async (): Promise<number> => {
  const start = performance.now()
  const end = start + seconds * 1000
  let turn = 0
  await Promise.all(clients.map((client) =>
    new Promise<void>((resolve) => {
      const next = (): void => {
        const since = performance.now()
        if (since >= end) return resolve()
        chat(client, turn++, (failure) => {
          count(since, failure)
          next()
        })
      }
      next()
    })
  ))
  return (performance.now() - start) / 1000
}

/** How long a paced load waits at its end for what is not answered yet. */
const patienceMillis = 2000

const paced = async (): Promise<number> => {
  const start = performance.now()
  const total = rate * seconds
  const idle = [...clients]
  let turn = 0
  let ended = 0
  const send = (client: Client): void => {
    const due = start + turn * 1000 / rate
    if (turn >= total || due > performance.now()) {
      idle.push(client)
      return
    }
    chat(client, turn++, (failure) => {
      ended++
      count(due, failure)
      send(client)
    })
  }
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      for (const client of idle.splice(0)) send(client)
      if (ended < total && performance.now() < start + seconds * 1000 + patienceMillis) return
      clearInterval(timer)
      resolve()
    }, 2)
  })
  failed += total - ended
  return (performance.now() - start) / 1000
}

const held = async (): Promise<number> => {
  const start = performance.now()
  const begin = (client: Client, turn: number): Promise<void> =>
    new Promise((resolve) => {
      let text = ""
      let hasBegun = false
      const since = performance.now()
      const ended = (failure: string): void => {
        // One that begins and does not stay is not open.
        if (hasBegun) latencies.pop()
        count(since, failure)
        resolve()
      }
      client.dispatch(request(turn, heldWord), {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: (_, chunk) => {
          text += chunk.toString("latin1")
          if (hasBegun || !text.includes("event: delta")) return
          hasBegun = true
          count(since, undefined)
          resolve()
        },
        onResponseEnd: () => ended(text.slice(-300)),
        onResponseError: (_, error) => ended(String(error))
      })
    })
  // Not more at once than a listening socket takes.
  for (let at = 0; at < clients.length && performance.now() < start + seconds * 1000; at += 100) {
    await Promise.all(clients.slice(at, at + 100).map((client, turn) => begin(client, at + turn)))
  }
  return (performance.now() - start) / 1000
}

const report = (elapsed: number): void => {
  const waits = [...latencies, ...Array.from({ length: failed }, () => Infinity)]
  const told: Report = {
    answered: latencies.length,
    failed,
    failures,
    perSecond: latencies.length / elapsed,
    p50: percentile(waits, 0.5),
    p95: percentile(waits, 0.95),
    p99: percentile(waits, 0.99)
  }
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

report(await { closed, paced, held }[kind]())
if (kind === "held") await new Promise((resolve) => process.stdin.on("end", resolve).resume())
process.exit(0)
