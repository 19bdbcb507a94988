/** Runs the agent server under load and faults for a while, and looks at what it holds. */
import { loadavg } from "node:os"
import { setTimeout as sleep } from "node:timers/promises"
import { type Load, load, type Pace } from "./load.ts"
import * as Operator from "./operator.ts"
import { callers } from "./requests.ts"
import { mended, parts } from "./script.ts"
import { type Server, start } from "./server.ts"
import type { Point } from "./trend.ts"

/** What is looked at. Memory is what is in use after a collection of garbage, in bytes; the rest is counted. */
const measures = ["heap", "external", "resident", "timers", "handles", "fds", "series"] as const

/** One of them. */
export type Measure = (typeof measures)[number]

/** What was seen of each, by when. */
type Points = Readonly<Record<Measure, ReadonlyArray<Point>>>

/** What came of it. */
export interface Report {
  readonly seconds: number
  /** Every ten seconds, under load. */
  readonly loaded: Points
  /** With nothing under way: once a third of the time has passed, and at the end. */
  readonly atRest: Points
  /** What there was in the end, according to the server itself: requests under way, measured sessions, dead letters. */
  readonly left: { readonly requests: number; readonly sessions: number; readonly letters: number }
  readonly redriven: number
  readonly discarded: number
  readonly load: Pick<Load, "outcomes" | "unexpected">
  /** The machine's load average, each time that we looked. */
  readonly loadAverages: ReadonlyArray<number>
}

const sampleMillis = 10_000

/** Connections that nobody uses are closed after 65 seconds, by whoever is at their ends. */
const restMillis = 75_000

const sum = (family: ReadonlyMap<string, number>): number => [...family.values()].reduce((all, one) => all + one, 0)

const look = async ({ memory, metrics }: Server): Promise<Readonly<Record<Measure, number>>> => {
  const inUse = await memory()
  const family = await metrics()
  const resources = family("nodejs_active_resources")
  const timers = resources.get("type=\"Timeout\"") ?? 0
  return {
    ...inUse,
    timers,
    handles: sum(resources) - timers,
    fds: sum(family("process_open_fds")),
    series: sum(family("metrics_series"))
  }
}

const recorder = (server: Server, since: number) => {
  const points = Object.fromEntries(measures.map((measure) => [measure, new Array<Point>()])) as {
    readonly [
      // Made of the measures, one for each.
      M in Measure
    ]: Array<Point>
  }
  return {
    points,
    record: async () => {
      const second = Math.round((performance.now() - since) / 1000)
      const seen = await look(server)
      for (const measure of measures) points[measure].push({ second, value: seen[measure] })
      return seen
    }
  }
}

/** What the server says is under way. The request that asks is one of them. */
const leftOver = async ({ metrics }: Server): Promise<Report["left"]> => {
  const family = await metrics()
  const dead = [...family("dlq_depth")].filter(([labels]) => /state="(Dead|Redriving)"/.test(labels))
  return {
    requests: sum(family("http_server_active_requests")) - 1,
    sessions: sum(family("sessions_active")),
    letters: sum(new Map(dead))
  }
}

/** Soaks a server for so many minutes, and to the end of the script that is being played then. */
export const soak = async (minutes: number, pace: Pace): Promise<Report> => {
  const server = await start()
  const since = performance.now()
  const loaded = recorder(server, since)
  const atRest = recorder(server, since)
  const loadAverages: Array<number> = []
  const work = load(callers(server.origin), pace)
  let left = { requests: 0, sessions: 0, letters: 0 }
  let redriven = 0
  let discarded = 0

  const playScript = async () => {
    work.begin()
    for (const { faults, seconds, what } of parts) {
      await Operator.setFaults(server.origin, faults)
      const partEnd = performance.now() + seconds * 1000
      while (performance.now() < partEnd) {
        await sleep(Math.max(0, Math.min(nextSample, partEnd) - performance.now()))
        if (performance.now() < nextSample) continue
        nextSample = performance.now() + sampleMillis
        tell(since, what, await loaded.record(), work)
        loadAverages.push(loadavg()[0]!)
      }
    }
    await Operator.setFaults(server.origin, mended)
    await work.rest()
    await Operator.resetCircuits(server.origin)
    const cleared = await Operator.clearLetters(server.origin)
    redriven += cleared.redriven
    discarded += cleared.discarded
  }

  const rest = async () => {
    await sleep(restMillis)
    left = await leftOver(server)
    tell(since, "at rest", await atRest.record(), work)
  }

  const total = minutes * 60_000
  let nextSample = since + sampleMillis
  try {
    while (performance.now() < since + total / 3) await playScript()
    await rest()
    do await playScript()
    while (performance.now() < since + total - restMillis)
    await rest()
  } finally {
    await work.rest()
    await server.stop()
  }
  return {
    seconds: Math.round((performance.now() - since) / 1000),
    loaded: loaded.points,
    atRest: atRest.points,
    left,
    redriven,
    discarded,
    load: work,
    loadAverages
  }
}

const tell = (
  since: number,
  what: string,
  { external, fds, handles, heap, resident, series, timers }: Readonly<Record<Measure, number>>,
  { inFlight, outcomes, unexpected }: Load
): void => {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
  const second = String(Math.round((performance.now() - since) / 1000)).padStart(4)
  process.stdout.write(
    `${second} s  heap ${megabytes(heap)}  external ${megabytes(external)}  resident ${megabytes(resident)}  `
      + `timers ${timers}  handles ${handles}  fds ${fds}  series ${series}  in flight ${inFlight()}  `
      + `${JSON.stringify(outcomes)} ${unexpected.count} unexpected  ${what}\n`
  )
}
