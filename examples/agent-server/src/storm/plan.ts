/**
 * What a storm consists of: who says what, and what goes wrong before which chat.
 *
 * The same options make the same plan, to the letter. Nothing here happens yet.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { AllFaultsPatch } from "../sim/Simulator.ts"

/** An agent that chats are had with. */
type AgentName = "travel_planner" | "viva_examiner"

/** Ways to send a request that must be refused. */
export const badWays = ["NoMessage", "NoAgent", "NoSession", "NoJson", "TooLong"] as const
export type BadWay = (typeof badWays)[number]

/** What a client does with one chat. */
type Manner =
  /** It waits for its reply. */
  | { readonly _tag: "Once" }
  /** It sends the chat twice under one key: the second time when it has the reply, or both at once. */
  | { readonly _tag: "Twice"; readonly atOnce: boolean }
  /** It goes away after so many milliseconds. */
  | { readonly _tag: "Leaves"; readonly afterMillis: number }
  /** It says it aloud. */
  | { readonly _tag: "Aloud" }
  /** It sends what must be refused. */
  | { readonly _tag: "Wrongly"; readonly way: BadWay }

/** One chat. What is said is said by no other. */
export interface Chat {
  readonly index: number
  readonly agent: AgentName
  readonly message: string
  readonly stream: boolean
  /** The chat whose session it goes on with; `undefined`: a new one begins. */
  readonly after: number | undefined
  readonly manner: Manner
}

/** What goes wrong, or is mended. */
export type Step =
  | { readonly _tag: "Faults"; readonly faults: AllFaultsPatch }
  | { readonly _tag: "OutageBegins" }
  | { readonly _tag: "OutageEnds" }
  | { readonly _tag: "RedisGoes" }
  | { readonly _tag: "RedisComes" }
  /** The restart begins with this one, and waits for the one before it to be over. */
  | { readonly _tag: "Restart"; readonly instance: number }
  /** When everything is over, no model answers any more. */
  | { readonly _tag: "Squall" }

/** A step, and the chat that it comes before. */
export interface Scheduled {
  readonly before: number
  readonly step: Step
}

/** A storm. */
export interface Plan {
  readonly chats: ReadonlyArray<Chat>
  /** In their order. */
  readonly script: ReadonlyArray<Scheduled>
  /** The first of the chats that no model answers: they begin when all before them are over, to make dead letters. */
  readonly squall: number
  /** How many chats begin in a second, at most. */
  readonly perSecond: number
}

/** How large a storm is, and which one. */
export interface Options {
  readonly seed: number
  /** Without those of the squall. */
  readonly chats: number
  /** How long the primary is away, in seconds, where the servers keep up. */
  readonly outageSeconds: number
  /** How many instances are restarted, one after the other. */
  readonly instances: number
}

/** Shares of all chats. The others are sent once, by clients that wait. */
const shares = { wrongly: 0.02, aloud: 0.02, leaves: 0.02, twice: 0.1, twiceAtOnce: 0.05 } as const

const streamed = 0.4
const continued = 0.6
const ofSecondAgent = 0.4

/** A session is gone on with no sooner than so many chats later, so that few wait for the one before them. */
const distance = 100

/** How many chats are had when no model answers. */
const squallChats = 20

/** A client that leaves does so within a time in which many have their reply, and many have not. */
const leavesWithinMillis = 150

const mannerOf = (random: Pick<Random.Random, "nextDoubleUnsafe">): Manner => {
  let left = random.nextDoubleUnsafe()
  const detail = random.nextDoubleUnsafe()
  const falls = (share: number): boolean => (left -= share) < 0
  if (falls(shares.wrongly)) {
    return { _tag: "Wrongly", way: badWays[Math.floor(detail * badWays.length)] ?? "NoMessage" }
  }
  if (falls(shares.aloud)) return { _tag: "Aloud" }
  if (falls(shares.leaves)) return { _tag: "Leaves", afterMillis: Math.round(detail * leavesWithinMillis) }
  if (falls(shares.twice)) return { _tag: "Twice", atOnce: false }
  if (falls(shares.twiceAtOnce)) return { _tag: "Twice", atOnce: true }
  return { _tag: "Once" }
}

const places = ["Lisbon", "Kyoto", "Oaxaca", "Tbilisi", "Ljubljana", "Hobart", "Tromsø", "Valparaíso"] as const
const subjects = ["osmosis", "entropy", "recursion", "sonnets", "inflation", "plate tectonics", "vaccines"] as const

const messageOf = (agent: AgentName, index: number): string =>
  agent === "travel_planner"
    ? `Chat ${index}: a few days in ${places[index % places.length]}, please.`
    : `Chat ${index}: examine me on ${subjects[index % subjects.length]}.`

/** The last chats, which no model answers: some in sessions that there are, some in new ones, half of them streamed. */
const squallOf = (from: number, ends: ReadonlyArray<Chat>): ReadonlyArray<Chat> =>
  Array.from({ length: squallChats }, (_, nth) => {
    const index = from + nth
    const before = nth % 4 < 2 ? ends[nth] : undefined
    const agent = before?.agent ?? "travel_planner"
    const message = messageOf(agent, index)
    return { index, agent, message, stream: nth % 2 === 0, after: before?.index, manner: { _tag: "Once" } }
  })

const chatsOf = ({ chats, seed }: Options): ReadonlyArray<Chat> => {
  const random = Effect.runSync(Random.withSeed(Random.Random, `storm:${seed}`))
  const all: Array<Chat> = []
  // The last chats of sessions that may be gone on with: nobody goes on twice from the same place.
  const ends: Array<number> = []
  for (let index = 0; index < chats; index++) {
    const manner = mannerOf(random)
    const stream = random.nextDoubleUnsafe() < streamed
    const draws = { agent: random.nextDoubleUnsafe(), continued: random.nextDoubleUnsafe() }
    const oldest = ends[0]
    const mayContinue = manner._tag !== "Aloud" && manner._tag !== "Wrongly" && draws.continued < continued
    const after = mayContinue && oldest !== undefined && oldest + distance <= index ? ends.shift() : undefined
    const agent = (after === undefined ? undefined : all[after]?.agent)
      ?? (draws.agent < ofSecondAgent ? "viva_examiner" : "travel_planner")
    all.push({ index, agent, message: messageOf(agent, index), stream, after, manner })
    if (manner._tag === "Once" || manner._tag === "Twice") ends.push(index)
  }
  return [...all, ...squallOf(chats, ends.flatMap((index) => all[index] ?? []))]
}

/** What each model's provider has from the first chat to the last. */
const weather = { error_rate: 0.2, status: 500, rate_limit_rate: 0.05, retry_after: 1 } as const

const faults: AllFaultsPatch = {
  "llm-primary": { ...weather, hang: 0.02 },
  "llm-secondary": weather,
  "llm-anthropic": weather,
  "stt-primary": { error_rate: 0.2 },
  "tts-primary": { error_rate: 0.2 }
}

/** Where in the storm, as shares of all chats, what happens. */
const moments = { outage: [0.25, 0.55], redis: [0.62, 0.66], restarts: [0.75, 0.95] } as const

const scriptOf = ({ chats, instances }: Options): ReadonlyArray<Scheduled> => {
  const at = (share: number): number => Math.floor(chats * share)
  const [first, last] = moments.restarts
  return [
    { before: 0, step: { _tag: "Faults", faults } },
    { before: at(moments.outage[0]), step: { _tag: "OutageBegins" } },
    { before: at(moments.outage[1]), step: { _tag: "OutageEnds" } },
    { before: at(moments.redis[0]), step: { _tag: "RedisGoes" } },
    { before: at(moments.redis[1]), step: { _tag: "RedisComes" } },
    ...Array.from({ length: instances }, (_, instance): Scheduled => ({
      before: at(first + (last - first) * instance / instances),
      step: { _tag: "Restart", instance }
    })),
    { before: chats, step: { _tag: "Squall" } }
  ]
}

/** Draws up a storm. */
export const make = (options: Options): Plan => ({
  chats: chatsOf(options),
  script: scriptOf(options),
  squall: options.chats,
  perSecond: options.chats * (moments.outage[1] - moments.outage[0]) / options.outageSeconds
})

/** Which chats begin while the primary is away. */
export const isInOutage = (plan: Plan, index: number): boolean => {
  const begins = plan.script.find(({ step }) => step._tag === "OutageBegins")?.before ?? Infinity
  const ends = plan.script.find(({ step }) => step._tag === "OutageEnds")?.before ?? Infinity
  return index >= begins && index < ends
}
