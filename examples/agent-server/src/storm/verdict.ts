/** What a storm came to, and whether that is good enough. Pure: outcomes in, rows out. */
import { isApology } from "../letters/apology.ts"
import type { Line } from "./books.ts"
import { type Answered, isAnswered, letterOf, type Outcome, type Result } from "./client.ts"
import { isInOutage, type Plan } from "./plan.ts"
import { complaintsAbout, type Message } from "./stored.ts"

/** What was found when the storm was over. */
export interface Facts {
  readonly plan: Plan
  readonly outcomes: ReadonlyArray<Outcome>
  /** Every session that a reply or a letter named, by its id. */
  readonly sessions: ReadonlyMap<string, ReadonlyArray<Message>>
  /** How many letters there were, and how many of them were redriven to their end; `undefined`: nobody asked. */
  readonly letters: { readonly total: number; readonly redriven: number } | undefined
  /** Both sides of the models' books; `undefined`: an instance was gone before it was asked for its own. */
  readonly books: ReadonlyArray<Line> | undefined
  /** How long Redis was away, and why it was not. */
  readonly redis: Done
  /** How many instances were restarted. */
  readonly restarts: Done
  readonly outageMillis: number
  readonly millis: number
}

/** Something that the script does, or why it was not done. */
export type Done =
  | { readonly _tag: "Done"; readonly what: string }
  | { readonly _tag: "NotRun"; readonly why: string }

/** A line of the result. `Told` has nothing to reach. */
export interface Row {
  readonly name: string
  readonly figure: string
  readonly target: string
  readonly standing: "Reached" | "Missed" | "NotRun" | "Told"
}

/** The result. */
export interface Verdict {
  readonly rows: ReadonlyArray<Row>
  /** Whether nothing that was tried missed its target. */
  readonly passed: boolean
}

/** The figures to reach, as shares. */
const targets = { servedInOutage: 0.9, recovered: 0.95, deadLettered: 0.05, visibleErrors: 0.01 } as const

/** The routes that are no models, and no apology either: they stand in where none answered. */
const standIns: ReadonlySet<string> = new Set(["cache", "pattern"])

/** Whether a model answered. */
const isServed = (result: Result): result is Answered =>
  isAnswered(result) && !isApology(result) && !standIns.has(result.route)

/** Work: chats that were no nonsense, of clients that stayed. */
const isWork = ({ result }: Outcome): boolean => result._tag !== "Left" && result._tag !== "Refused"

/** Whether something failed on the way, as far as its client can tell. */
const metAnError = ({ result }: Outcome): boolean =>
  isAnswered(result) ? !isServed(result) || result.attempts > 1 : true

const isError = ({ result }: Outcome): boolean => result._tag === "Failed" || result._tag === "Lost"

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`

const shareOf = (part: number, whole: number): number => whole === 0 ? 0 : part / whole

const told = (name: string, figure: string): Row => ({ name, figure, target: "", standing: "Told" })

const row = (name: string, figure: string, target: string, isReached: boolean): Row => ({
  name,
  figure,
  target,
  standing: isReached ? "Reached" : "Missed"
})

/** At least, or less than, a share; of nothing there is no share to be wrong. */
const atLeast = (name: string, part: number, whole: number, target: number): Row =>
  row(
    name,
    `${percent(shareOf(part, whole))}, ${part} of ${whole}`,
    `>= ${percent(target)}`,
    whole === 0 || part / whole >= target
  )

const lessThan = (name: string, part: number, whole: number, target: number): Row =>
  row(
    name,
    `${percent(shareOf(part, whole))}, ${part} of ${whole}`,
    `< ${percent(target)}`,
    shareOf(part, whole) < target
  )

/** The smallest value that so many of all values do not exceed. */
export const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0

const latencies = (outcomes: ReadonlyArray<Outcome>): Row => {
  const sorted = outcomes.filter(({ result }) => isAnswered(result)).map(({ millis }) => millis).toSorted((a, b) =>
    a - b
  )
  const at = (share: number) => `${Math.round(quantile(sorted, share))}`
  return told("p50, p95, p99 of answered chats", `${at(0.5)}, ${at(0.95)}, ${at(0.99)} ms`)
}

const counted = (values: ReadonlyArray<string>): string => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].toSorted(([, a], [, b]) => b - a).map(([value, count]) => `${count} ${value}`).join(", ")
}

/** In parentheses, where there is anything. */
const besides = (text: string): string => text === "" ? "" : ` (${text})`

const sentTwice = (outcomes: ReadonlyArray<Outcome>): Row => {
  const answers = outcomes.flatMap(({ result }) =>
    isAnswered(result) && result.agrees !== undefined ? [result.agrees] : []
  )
  const agreed = answers.filter(Boolean).length
  return row("sent twice, the same reply", `${agreed} of ${answers.length}`, "all", agreed === answers.length)
}

const refusals = (outcomes: ReadonlyArray<Outcome>): Row => {
  const all = outcomes.flatMap(({ result }) => result._tag === "Refused" ? [result] : [])
  const right = all.filter(({ asItShould }) => asItShould).length
  const others = all.filter(({ asItShould }) => !asItShould).map(({ status }) => String(status))
  return row(
    "bad requests refused",
    `${right} of ${all.length}${besides(counted(others))}`,
    "all",
    right === all.length
  )
}

const done = (name: string, what: Done): Row =>
  what._tag === "Done" ? told(name, what.what) : { name, figure: what.why, target: "", standing: "NotRun" }

/** What no model answers is kept, whatever its client is told. */
const squall = (outcomes: ReadonlyArray<Outcome>): Row => {
  const kept = outcomes.filter(({ result }) => letterOf(result) !== undefined).length
  return row("no model at all: kept as letters", `${kept} of ${outcomes.length}`, "all", kept === outcomes.length)
}

const lettersOf = (letters: Facts["letters"]): Row =>
  letters === undefined
    ? { name: "letters redriven", figure: "not asked for", target: "", standing: "NotRun" }
    : row("letters redriven", `${letters.redriven} of ${letters.total}`, "all", letters.redriven === letters.total)

const sum = (lines: ReadonlyArray<Line>, of: (line: Line) => number): number =>
  lines.reduce((total, line) => total + of(line), 0)

/**
 * A provider bills what it sent; of what a client left behind some was on its way and never arrived. So each client that left
 * may be a difference of one call, and nothing else may.
 */
const ledger = ({ books, outcomes }: Facts): Row => {
  const name = "ledger: providers' tokens less ours"
  if (books === undefined) return row(name, "an instance ended before it could be asked", "exact", false)
  const left = outcomes.filter(({ result }) => result._tag === "Left").length
  const call = outcomes.reduce((most, { result }) => isAnswered(result) ? Math.max(most, result.tokens) : most, 0)
  const differences = books.flatMap((
    { ours, theirs }
  ) => [theirs.prompt - ours.prompt, theirs.completion - ours.completion])
  const difference = differences.reduce((total, one) => total + one, 0)
  const billed = sum(books, ({ theirs }) => theirs.prompt + theirs.completion)
  return row(
    name,
    `${difference} of ${billed}`,
    `>= 0, <= ${left * call} (${left} clients left)`,
    differences.every((one) => one >= 0) && difference <= left * call
  )
}

const inSessions = (facts: Facts): Row => {
  const complaints = complaintsAbout(facts)
  const acknowledged = facts.outcomes.filter(({ result }) => isAnswered(result)).length
  const figure = complaints.length === 0
    ? `${acknowledged} of ${acknowledged}`
    : `${complaints.length} are not: ${complaints.slice(0, 3).join("; ")}`
  return row("acknowledged turns stored exactly once", figure, "all", complaints.length === 0)
}

/** Judges a storm. */
export const judge = (facts: Facts): Verdict => {
  const { outcomes, plan } = facts
  const storm = outcomes.filter(({ chat }) => chat.index < plan.squall)
  const work = storm.filter(isWork)
  const answered = work.map(({ result }) => result).filter(isAnswered)
  const met = work.filter(metAnError)
  const errors = work.filter(isError)
  const inOutage = work.filter(({ chat }) => isInOutage(plan, chat.index))
  const served = (all: ReadonlyArray<Outcome>) => all.filter(({ result }) => isServed(result)).length
  const rows: ReadonlyArray<Row> = [
    told("chats", `${storm.length} in ${(facts.millis / 1000).toFixed(1)} s`),
    told("work, without bad requests and clients that left", `${work.length}`),
    told("fallback: another route than the first", besidesFirst(answered)),
    atLeast("served while the primary was away", served(inOutage), inOutage.length, targets.servedInOutage),
    atLeast("recovered of those that met an error", served(met), met.length, targets.recovered),
    lessThan(
      "dead-lettered",
      work.filter(({ result }) => letterOf(result) !== undefined).length,
      work.length,
      targets.deadLettered
    ),
    withDetail(
      lessThan("user-visible errors", errors.length, work.length, targets.visibleErrors),
      counted(
        errors.map(({ result }) => result._tag === "Failed" ? result.code : result._tag === "Lost" ? result.reason : "")
      )
    ),
    latencies(storm),
    sentTwice(outcomes),
    refusals(outcomes),
    inSessions(facts),
    squall(outcomes.filter(({ chat }) => chat.index >= plan.squall)),
    lettersOf(facts.letters),
    ledger(facts),
    told("outage of the primary", `${(facts.outageMillis / 1000).toFixed(1)} s`),
    done("Redis restart", facts.redis),
    done("rolling restart", facts.restarts)
  ]
  return { rows, passed: rows.every(({ standing }) => standing !== "Missed") }
}

const besidesFirst = (answered: ReadonlyArray<Answered>): string => {
  const lesser = answered.filter(({ degraded }) => degraded)
  return `${lesser.length} of ${answered.length}${besides(counted(lesser.map(({ route }) => route)))}`
}

const withDetail = (of: Row, detail: string): Row => ({ ...of, figure: `${of.figure}${besides(detail)}` })
