/** The whole agent server under load, beside what a Fastify service would be made of, and a bare Effect server as the floor. */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { percentile, type Scenario, type Seen } from "../harness/scenario.ts"
import type { Load, Report } from "../wholeServer/load.ts"
import {
  load,
  loadKey,
  type Name,
  names,
  type Server,
  type ServerOptions,
  startServer,
  startUpstream
} from "../wholeServer/servers.ts"

/** `WHOLE_SERVER_SECONDS` makes all of it shorter, to see that it works. */
const seconds = Number(process.env["WHOLE_SERVER_SECONDS"] ?? 5)
const rounds = 5
const connections = 64

/**
 * A chat is a path of thousands of functions, each of which is called once or a few times for it, and V8 compiles them well only
 * after some ten thousand chats.
 */
const warmUpSeconds = seconds * 6

/** Runs with the servers up, and stops them. */
const withServers = async <A>(
  which: ReadonlyArray<Name>,
  run: (servers: ReadonlyArray<Server>) => Promise<A>,
  options?: ServerOptions
): Promise<A> => {
  const upstream = await startUpstream()
  const servers: Array<Server> = []
  try {
    for (const name of which) servers.push(await startServer(name, upstream.origin, options))
    return await run(servers)
  } finally {
    for (const server of servers) await server.stop()
    await upstream.stop()
  }
}

/** What a load did to a server. */
interface Round extends Report {
  readonly cpuMillisPerRequest: number
  /** Of one processor, in percent. */
  readonly cpuPercent: number
}

const underLoad = async (server: Server, what: Omit<Load, "origin" | "key">): Promise<Round> => {
  const before = server.cpuSeconds()
  const started = performance.now()
  const report = await load({ ...what, origin: server.origin, key: loadKey })
  const elapsed = (performance.now() - started) / 1000
  const cpu = server.cpuSeconds() - before
  if (report.failed > 0 && what.kind !== "paced") {
    throw new Error(`${server.name}: ${report.failed} requests failed: ${report.failures.join(" | ")}`)
  }
  return { ...report, cpuMillisPerRequest: cpu * 1000 / report.answered, cpuPercent: cpu / elapsed * 100 }
}

const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
const millis = (value: number): string => value === Infinity ? "never" : `${value.toFixed(1)} ms`
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

const wanted = (value: string, reached: boolean) => ({ wanted: { value, reached } })

/** As fast as each answers, in alternating rounds. */
const atFullLoad = (stream: boolean): Promise<ReadonlyArray<Seen>> =>
  withServers(names, async (servers) => {
    const all = new Map(servers.map(({ name }) => [name, new Array<Round>()]))
    const what = { kind: "closed", stream, connections, seconds } as const
    for (const server of servers) await underLoad(server, { ...what, seconds: warmUpSeconds })
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < servers.length; turn++) {
        const server = servers[(turn + round) % servers.length]!
        all.get(server.name)?.push(await underLoad(server, what))
      }
    }
    const of = (name: Name, figure: (round: Round) => number): number => median(all.get(name)?.map(figure) ?? [])
    const ours = names[0]!
    const ratio = (name: Name) => of(ours, (round) => round.perSecond) / of(name, (round) => round.perSecond)
    return [
      ...servers.flatMap(({ memoryBytes, name }): ReadonlyArray<Seen> => {
        const each = all.get(name)?.map(({ perSecond }) => perSecond) ?? []
        return [
          {
            what: `${name}: requests/s`,
            value: `${whole(median(each))} (${whole(Math.min(...each))} to ${whole(Math.max(...each))})`
          },
          {
            what: `${name}: p50, p95, p99`,
            value: [of(name, ({ p50 }) => p50), of(name, ({ p95 }) => p95), of(name, ({ p99 }) => p99)].map(millis)
              .join(", ")
          },
          {
            what: `${name}: processor time a request`,
            value: `${of(name, (round) => round.cpuMillisPerRequest).toFixed(3)} ms`
          },
          { what: `${name}: memory at the end`, value: megabytes(memoryBytes()) }
        ]
      }),
      {
        what: "requests/s, of Fastify's",
        value: ratio("Fastify").toFixed(2),
        ...wanted("1.2 or more", ratio("Fastify") >= 1.2)
      },
      {
        what: "p99, of Fastify's",
        value: (of(ours, ({ p99 }) => p99) / of("Fastify", ({ p99 }) => p99)).toFixed(2),
        ...wanted("below 1", of(ours, ({ p99 }) => p99) < of("Fastify", ({ p99 }) => p99))
      },
      {
        what: "requests/s, of the bare server's",
        value: ratio("bare Effect").toFixed(2),
        ...wanted("0.6 or more", ratio("bare Effect") >= 0.6)
      }
    ]
  })

/** So many requests a second, whether the server keeps up or not. */
const paced = (rate: number, tell: (round: Round, isOurs: boolean) => ReadonlyArray<Seen>) => () =>
  withServers(names, async (servers) => {
    const seen: Array<Seen> = []
    for (const [index, server] of servers.entries()) {
      await underLoad(server, { kind: "closed", stream: false, connections, seconds: warmUpSeconds })
      const round = await underLoad(server, {
        kind: "paced",
        stream: false,
        connections: 256,
        seconds: seconds * 2,
        rate
      })
      seen.push({
        what: `${server.name}: answered`,
        value: `${(round.answered / (round.answered + round.failed) * 100).toFixed(1)} %, ${whole(round.perSecond)}/s`,
        ...(index === 0 ? wanted("100 %", round.failed === 0) : {})
      })
      for (const { wanted: target, what, value } of tell(round, index === 0)) {
        seen.push({ what: `${server.name}: ${what}`, value, ...(target === undefined ? {} : { wanted: target }) })
      }
    }
    return seen
  })

const latenciesAt = (round: Round, isOurs: boolean): ReadonlyArray<Seen> => [
  { what: "p95", value: millis(round.p95), ...(isOurs ? wanted("below 100 ms", round.p95 < 100) : {}) },
  { what: "p99", value: millis(round.p99), ...(isOurs ? wanted("below 200 ms", round.p99 < 200) : {}) }
]

/** The box is all of its processors. */
const processorAt = (round: Round, isOurs: boolean): ReadonlyArray<Seen> => {
  const ofBox = round.cpuPercent / availableParallelism()
  const reached = round.failed === 0 && ofBox < 50
  return [{
    what: "processor time, of the whole machine",
    value: `${ofBox.toFixed(0)} %`,
    ...(isOurs ? wanted("below 50 %, with all answered", reached) : {})
  }]
}

/** How many files a process may have open here. Each stream is two: to its client, and to the provider. */
const openFiles = (): number => {
  const limit = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1])
  return Number.isFinite(limit) ? limit : Infinity
}

const streams = Math.min(10_000, Math.floor((openFiles() - 400) / 200) * 100)

const heldOpen = (): Promise<ReadonlyArray<Seen>> =>
  withServers(names, async (servers) => {
    const seen: Array<Seen> = []
    for (const [index, server] of servers.entries()) {
      const before = server.memoryBytes()
      let during = NaN
      const report = await load(
        { kind: "held", stream: true, origin: server.origin, key: loadKey, connections: streams, seconds: 120 },
        async () => {
          during = server.memoryBytes()
        }
      )
      const open = report.answered
      seen.push(
        {
          what: `${server.name}: streams open`,
          value: whole(open),
          ...(index === 0 ? wanted(whole(streams), open === streams) : {})
        },
        { what: `${server.name}: memory before`, value: megabytes(before) },
        {
          what: `${server.name}: memory with them`,
          value: megabytes(during),
          ...(index === 0 ? wanted("below 500 MB", open === streams && during < 500e6) : {})
        }
      )
    }
    return seen
    // A turn that is held open must not be cut while the others begin.
  }, { environment: { MAX_RUN_SECONDS: "3600" } })

/** The loads. */
export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "Chats, as fast as they are answered",
    story:
      `${connections} connections, each with one chat at a time. Medians of ${rounds} alternating rounds of ${seconds} s, `
      + `after ${warmUpSeconds} s of the same for each.`,
    play: () => atFullLoad(false)
  },
  {
    title: "Streamed chats, as fast as they are answered",
    story: `The same with \`stream: true\`: 13 words as events, read to the last one.`,
    play: () => atFullLoad(true)
  },
  {
    title: "10,000 requests a second",
    story:
      `A chat is sent when its time has come, for ${
        seconds * 2
      } s, whether the server keeps up or not. Latencies count from that `
      + "time; a chat that is not answered within 2 s of the end has waited forever.",
    play: paced(10_000, latenciesAt)
  },
  {
    title: "5,000 requests a second",
    story: "The same, and what the server takes of the machine.",
    play: paced(5000, processorAt)
  },
  {
    title: `${whole(streams)} open streams`,
    story:
      "Streams of which the provider has sent the first word, and nothing since. 10,000 are wanted, or as many as the "
      + "machine lets a process have: a stream takes two of its open files.",
    play: heldOpen
  }
]

/** What a reader must know about the figures. */
export const notes =
  `The three servers are processes of their own, started as their users start them, and so are the provider, which answers at
once, and the load. Where \`taskset\` is there, the server under load has the first processor for itself and the provider and
the load share the others; on a machine of two processors that is one for both of them. The machine's other work falls on all
sides, and the processor time a request is the figure that it moves least.

- **agent-server** is \`examples/agent-server\` with everything on that is on by default, and limits that the load does not reach.
- **Fastify** is in \`packages/benchmarks/src/fastify\`: the same routes, checks of what comes in, keys, limits by caller, agent and
  provider, circuit, retries, deadlines, sessions, metrics, log, traces and problems, of @fastify/rate-limit,
  rate-limiter-flexible, opossum, prom-client, pino, OpenTelemetry's SDK and \`node:sqlite\`. A test sends both the same requests and
  compares the replies. What it has not: a second model to fall back on, replies in place of a model's, dead letters,
  idempotency keys, voice, a retry budget, health checks of dependencies, the operator's API, measurements of turns in a file.
- **bare Effect** is in \`packages/benchmarks/src/bare\`: Effect's router, client and server with the chat route and the store of
  turns, and nothing else.

All three keep turns in SQLite with write-ahead logging and a sync for every commit. Turns that end at once share a commit in
the Fastify assembly, and have one each in the other two. The files are in memory where the machine has a file system
there: a sync to the disk of a virtual machine takes longer than all of the rest of a chat, and would be all that is measured.

What stands in the way of the figures that are wanted. Counted with V8's precise coverage and its sampling of allocations, for one chat
and for one that is streamed:

|                          | agent-server     | bare Effect    | Fastify        |
| ------------------------ | ---------------- | -------------- | -------------- |
| calls of functions       | 24,100 and 39,500 | 4,900 and 9,600 | 2,700 and 3,900 |
| functions that are called | 2,090 and 2,460   | 920 and 1,120   | 710 and 730     |
| steps of Effect's loop   | 850 and 1,940     | 180 and 720     |                |
| allocated                | 470 and 900 kB    | 97 and 210 kB   | 59 and 110 kB   |

With parts left out (processor time of a chat, after the same warm-up): a handler that answers at once, behind the router, the checks of
what comes in, keys, limits, log, metrics and spans, takes 0.27 ms; with the turn, its order, its time limit and its place in the
database, 0.54 ms; with the chain, the circuit, the bulkhead, the retries, the reservation and the deadlines around a model that answers at
once, 0.74 ms; with the call over HTTP, through Effect's \`LanguageModel\` with its schemas, spans and metrics, 1.27 ms. The bare server's chat takes
0.22 to 0.29 ms in all. So the first part alone costs what the bare server costs, and 0.6 of its requests would leave 0.14 ms for everything
that the other does not have. And 1.2 of Fastify's is out of reach for any server on these parts: the bare one, without a policy, has 0.5 to 0.6.

No function stands out: a profile has none of ours with 1 %, and 25 % of the time in compiled JavaScript at all. The rest is what V8 does for code
that is called once in a chat and seldom twice with the same kinds of objects (look-ups of properties, closures, generators, maps),
and collecting garbage. What did stand out is gone: waiting for WebCrypto's hashes (7 %), opening the file of measured turns for every
turn (9 %), copying the services of a fiber (a third of what was allocated), fibers that wait for time limits, decoding streams event by
event. What is left to do is to have fewer effects in a chat, and most of them are Effect's own.
`
