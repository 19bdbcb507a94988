/** What the agent server holds after a quarter of an hour of load and faults. */
import type { Scenario, Seen } from "../harness/scenario.ts"
import { type Measure, type Report, soak } from "../soak/soak.ts"
import { growth, type Point, thirds } from "../soak/trend.ts"

/** `SOAK_MINUTES` has it shorter, to see that it runs. */
const minutes = ((text: string) => {
  const minutes = Number(text)
  if (!(minutes > 0 && minutes <= 24 * 60)) {
    throw new RangeError(`SOAK_MINUTES must be a number above 0, at most 1440, got ${JSON.stringify(text)}`)
  }
  return minutes
})(process.env["SOAK_MINUTES"] || "15")

const pace = { perSecond: 100, atOnce: 32 } as const

const whole = (value: number): string => String(Math.round(value))
const megabytes = (value: number): string => `${(value / 1e6).toFixed(1)} MB`
const percent = (share: number): string => `${share < 0 ? "" : "+"}${(share * 100).toFixed(1)} %`

const shown: Readonly<Record<Measure, readonly [what: string, (value: number) => string]>> = {
  heap: ["heap", megabytes],
  external: ["memory outside of the heap", megabytes],
  resident: ["resident memory", megabytes],
  timers: ["timers", whole],
  handles: ["sockets and other handles", whole],
  fds: ["open file descriptors", whole],
  series: ["series of metrics", whole]
}

/**
 * By how much each may grow in ten minutes. What is there for the requests that are just under way goes up and down by itself; one
 * that stayed for every hundredth request would still have it grow several times over. Resident memory is the allocator's affair:
 * what it has got it seldom gives back.
 */
const bounds: { readonly [M in Measure]?: number } = {
  heap: 0.05,
  external: 0.1,
  timers: 0.5,
  handles: 0.5,
  fds: 0.5,
  series: 0.02
}

const underLoad = (measure: Measure, points: ReadonlyArray<Point>): Seen => {
  const [what, text] = shown[measure]
  const bound = bounds[measure]
  const grown = growth(points)
  return {
    what: `${what}, medians of the thirds`,
    value: `${thirds(points).map(text).join(", ")}; ${percent(grown)} in ten minutes`,
    wanted: bound === undefined ? undefined : { value: `below ${percent(bound)}`, reached: grown < bound }
  }
}

/**
 * At rest nothing comes and goes, but for the health checks: they may have a connection to each of seven providers open, with both
 * ends in this process. A kind of failure that is rare may have its series late.
 */
const moreAtRest: { readonly [M in Measure]?: (first: number) => number } = {
  heap: (first) => first * 0.05,
  timers: () => 0,
  handles: () => 14,
  fds: () => 14,
  series: (first) => first * 0.02
}

const resting = (measure: Measure, points: ReadonlyArray<Point>): Seen => {
  const [what, text] = shown[measure]
  const [first = NaN, last = NaN] = points.map(({ value }) => value)
  const more = moreAtRest[measure]?.(first)
  return {
    what,
    value: `${text(first)}, ${text(last)}`,
    wanted: more === undefined
      ? undefined
      : { value: more === 0 ? "no more" : `at most ${text(more)} more`, reached: last <= first + more }
  }
}

const nothing = (what: string, value: number): Seen => ({
  what,
  value: String(value),
  wanted: { value: "0", reached: value === 0 }
})

const requests = ({ discarded, load: { outcomes, unexpected }, redriven, seconds }: Report): ReadonlyArray<Seen> => {
  const { answered, failed, left, refused } = outcomes
  const all = answered + failed + left + refused + unexpected.count
  return [
    { what: "requests", value: `${all} in ${seconds} s` },
    { what: "answered", value: String(answered) },
    { what: "refused, as they had to be", value: String(refused) },
    { what: "failed, with a reason", value: String(failed) },
    { what: "left by their callers", value: String(left) },
    nothing("answered in another way, or not at all", unexpected.count),
    ...unexpected.first.map((text) => ({ what: "one of these", value: text.replaceAll(/[|\n]/g, " ") })),
    { what: "dead letters that were completed afterwards, and given up", value: `${redriven}, ${discarded}` }
  ]
}

/** Told once, by three tables. */
let played: Promise<Report> | undefined
const report = (): Promise<Report> => played ??= soak(minutes, pace)

const measures = Object.keys(shown) as ReadonlyArray<Measure> // Its keys are the measures.

/** The soak, from three sides. */
export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "What was asked",
    story: `At most ${pace.perSecond} requests a second from ${pace.atOnce} callers, for ${minutes} minutes: chats and `
      + "streams in new and in old sessions, voice turns, named requests that are sent twice, callers that leave, bad "
      + "requests, probes, scrapes.",
    play: async () => {
      const seen = await report()
      const { loadAverages } = seen
      return [
        ...requests(seen),
        {
          what: "load average of the machine",
          value: `${Math.min(...loadAverages).toFixed(1)} to ${Math.max(...loadAverages).toFixed(1)}`
        }
      ]
    }
  },
  {
    title: "Under load",
    story:
      "Seen every ten seconds, memory after a collection of garbage. The first third is the warm-up; growth is that of "
      + "the other two, by the median of the slopes between any two points.",
    play: async () => {
      const { loaded } = await report()
      return measures.map((measure) => underLoad(measure, loaded[measure]))
    }
  },
  {
    title: "At rest",
    story:
      "Seen when nobody had asked for anything for 75 seconds: once a third of the time had passed, and at the end.",
    play: async () => {
      const { atRest, left } = await report()
      return [
        ...measures.map((measure) => resting(measure, atRest[measure])),
        nothing("requests that the server still had", left.requests),
        nothing("measured sessions that were still open", left.sessions),
        nothing("dead letters that were left", left.letters)
      ]
    }
  }
]

/** What a reader must know about the figures. */
export const notes =
  `The agent server runs as its users start it, with its embedded stores and simulated providers. Meanwhile, again and again: a
fifth of the first provider's calls fail, providers limit us, calls hang, replies are garbage or break off, the first of each kind is
down, all are down, all is well again. After each round the load stops, the operator closes the circuits and has the dead letters
tried again. Conversations are held again and again, so that the cache of replies has by the end of the warm-up what it will ever
have; names of requests, ids, and everything in bad requests are new each time.`
