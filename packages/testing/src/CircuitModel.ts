/**
 * A circuit breaker as it would be explained on a blackboard: slow, forgetful of nothing, and short enough to be read.
 *
 * It shares no code with the real one. Tests run random histories through both and compare every decision and every
 * state; a store that somebody else writes can be held against it in the same way, with `CircuitBreakerStoreSuite`.
 *
 * All times are in milliseconds.
 *
 * @since 0.1.0
 */

/**
 * When a closed circuit opens: after `failures` failures in a row, or when the share of bad calls among those it
 * remembers is `threshold` or more. It remembers the `last` calls, or those of the last `millis` in `buckets` parts of time.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule =
  | { readonly kind: "consecutive"; readonly failures: number }
  | {
    readonly kind: "failureRate" | "slowCallRate"
    readonly slowerThan: number
    readonly threshold: number
    readonly minimumCalls: number
    readonly window: { readonly last: number } | { readonly millis: number; readonly buckets: number }
  }

/**
 * How a circuit is to behave. `openFor[n]` is how long the n-th opening in a row lasts, the last one repeats. `recovery` is
 * a list of fractions of the calls and of how long each holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly rules: ReadonlyArray<Rule>
  readonly openFor: ReadonlyArray<number>
  readonly maxOpenFor: number
  readonly probes: number
  readonly required: number
  readonly deadline: number
  readonly onDeadline: "Open" | "Closed"
  readonly recovery: ReadonlyArray<{ readonly fraction: number; readonly millis: number }>
  readonly maxWhileUnhealthy: number
}

/**
 * @category models
 * @since 0.1.0
 */
export type State = "Closed" | "Open" | "HalfOpen" | "Recovering" | "ForcedOpen" | "ForcedClosed"

/**
 * A call that was let through. `era` is the stretch of time that its outcome counts in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly era: number
  readonly startedAt: number
}

interface Memory {
  readonly rule: Rule
  events: Array<{ readonly at: number; readonly bad: boolean }>
}

/**
 * One circuit.
 *
 * @category models
 * @since 0.1.0
 */
export class CircuitModel {
  settings: Settings
  now = 0
  state: State = "Closed"
  running: Array<Call> = []
  openings = 0
  history: Array<string> = []
  private era = 0
  private memories: Array<Memory>
  private openUntil = 0
  private lastOpenFor = 0
  private closedAt = 0
  private results: Array<"good" | "bad"> = []

  constructor(settings: Settings) {
    this.settings = settings
    this.memories = settings.rules.map((rule) => ({ rule, events: [] }))
  }

  advance(millis: number): void {
    this.now += millis
  }

  /** The calls that run as probes of this half-open round. */
  probes(): ReadonlyArray<Call> {
    return this.state === "HalfOpen" ? this.running.filter((call) => call.era === this.era) : []
  }

  /** Lets a call through, or not. `chance` is in `[0, 1)`. */
  admit(chance: number): Call | undefined {
    this.passTime()
    if (this.state === "Open" && this.now >= this.openUntil) this.become("HalfOpen")
    const allowed = {
      Closed: () => !this.isFull(),
      Recovering: () => chance < this.fraction() && !this.isFull(),
      Open: () => false,
      HalfOpen: () => this.probes().length + this.results.length < this.settings.probes,
      ForcedOpen: () => false,
      ForcedClosed: () => true
    }[this.state]()
    if (!allowed) return undefined
    const call = { era: this.era, startedAt: this.now }
    this.running.push(call)
    return call
  }

  /** A call has ended. `took` is how long the caller says that it took; `asked` is a wait asked for by the dependency. */
  end(call: Call, outcome: "success" | "failure" | "ignored", took: number, asked: number): void {
    this.passTime()
    this.running = this.running.filter((other) => other !== call)
    if (call.era !== this.era || outcome === "ignored") return
    const failed = outcome === "failure"
    if (this.state === "HalfOpen") {
      const slowest = Math.min(...this.settings.rules.map((rule) => limit(rule)))
      this.results.push(failed || took > slowest ? "bad" : "good")
      this.judge(asked)
    } else if (this.state === "Closed" || this.state === "Recovering") {
      for (const memory of this.memories) {
        const bad = memory.rule.kind === "slowCallRate" ? took > memory.rule.slowerThan : failed
        memory.events.push({ at: this.now, bad })
      }
      if (this.memories.some((memory) => trips(memory, this.now))) this.open(this.now, asked)
    }
  }

  command(command: "forceOpen" | "forceClose" | "release" | "reset" | "unhealthy" | "healthy"): void {
    switch (command) {
      case "forceOpen":
        if (this.state !== "ForcedOpen") this.become("ForcedOpen")
        return
      case "forceClose":
        if (this.state !== "ForcedClosed") this.become("ForcedClosed")
        return
      case "release":
        if (this.state === "ForcedOpen") this.become("HalfOpen")
        if (this.state === "ForcedClosed") {
          this.closedAt = this.now
          this.become("Closed")
        }
        return
      case "reset":
        this.openings = 0
        this.lastOpenFor = 0
        if (this.state === "Closed") this.freshStart()
        else this.become("Closed")
        return
      case "healthy":
        this.passTime()
        if (this.state === "Open") this.openUntil = this.now
        return
      case "unhealthy":
        this.passTime()
        if (this.state === "Closed" || this.state === "Recovering" || this.state === "HalfOpen") this.open(this.now, 0)
    }
  }

  reconfigure(settings: Settings): void {
    const old = [...this.memories]
    this.memories = settings.rules.map((rule) => {
      const at = old.findIndex((memory) => memory.rule.kind === rule.kind)
      const [memory] = at === -1 ? [] : old.splice(at, 1)
      return { rule, events: memory === undefined ? [] : takenOver(memory, rule, this.now) }
    })
    this.settings = settings
    this.passTime()
  }

  private passTime(): void {
    if (this.state === "HalfOpen") this.judge(0)
    const [oldest] = this.probes()
    if (oldest !== undefined && this.now >= oldest.startedAt + this.settings.deadline) {
      const at = oldest.startedAt + this.settings.deadline
      if (this.settings.onDeadline === "Open") this.open(at, 0)
      else this.close(at)
    }
    const recovery = this.settings.recovery.reduce((sum, { millis }) => sum + millis, 0)
    if (this.state === "Recovering" && this.now >= this.closedAt + recovery) {
      // The same stretch of time goes on: what is remembered stays, and the calls that run still count.
      this.history.push("Recovering > Closed")
      this.state = "Closed"
    }
  }

  private judge(asked: number): void {
    const { probes, required } = this.settings
    let needed = 1
    while (needed / probes < required) needed++
    const good = this.results.filter((result) => result === "good").length
    const bad = this.results.length - good
    if (good >= needed) this.close(this.now)
    else if (probes - bad < needed) this.open(this.now, asked)
  }

  private open(at: number, asked: number): void {
    if (this.state !== "HalfOpen" && at >= this.closedAt + this.lastOpenFor) this.openings = 0
    this.openings++
    const { maxOpenFor, openFor } = this.settings
    const own = openFor[Math.min(this.openings, openFor.length) - 1] ?? 0
    this.lastOpenFor = Math.max(own, Math.min(asked, maxOpenFor))
    this.openUntil = at + this.lastOpenFor
    this.become("Open")
  }

  private close(at: number): void {
    this.closedAt = at
    this.become(this.settings.recovery.length > 0 ? "Recovering" : "Closed")
  }

  private become(state: State): void {
    this.history.push(`${this.state} > ${state}`)
    this.state = state
    this.freshStart()
  }

  private freshStart(): void {
    this.era++
    this.results = []
    for (const memory of this.memories) memory.events = []
  }

  private fraction(): number {
    let until = this.closedAt
    let highest = 0
    for (const { fraction, millis } of this.settings.recovery) {
      highest = Math.max(highest, fraction)
      until += millis
      if (this.now < until) return highest
    }
    return 1
  }

  private isFull(): boolean {
    const unhealthy = this.memories.some((memory) => {
      const events = remembered(memory, this.now)
      return memory.rule.kind === "consecutive" ? events.at(-1)?.bad === true : events.some(({ bad }) => bad)
    })
    return unhealthy && this.running.length >= this.settings.maxWhileUnhealthy
  }
}

const limit = (rule: Rule): number => rule.kind === "slowCallRate" ? rule.slowerThan : Infinity

const remembered = ({ events, rule }: Memory, now: number): Memory["events"] => {
  if (rule.kind === "consecutive") return events
  if ("last" in rule.window) return events.slice(-rule.window.last)
  const { buckets, millis } = rule.window
  const part = (at: number) => Math.floor(at / (millis / buckets))
  return events.filter(({ at }) => part(at) > part(now) - buckets)
}

const trips = (memory: Memory, now: number): boolean => {
  const events = remembered(memory, now)
  const { rule } = memory
  if (rule.kind === "consecutive") {
    return events.length >= rule.failures && events.slice(-rule.failures).every(({ bad }) => bad)
  }
  const bad = events.filter((event) => event.bad).length
  return bad > 0 && events.length >= rule.minimumCalls && bad / events.length >= rule.threshold
}

/** What a new rule gets to know from an old one of its kind: windows of calls from each other, windows of time likewise. */
const takenOver = (memory: Memory, rule: Rule, now: number): Memory["events"] => {
  const events = remembered(memory, now)
  if (memory.rule.kind === "consecutive" || rule.kind === "consecutive") return [...events]
  const from = memory.rule.window
  const to = rule.window
  if ("last" in from) return "last" in to ? [...events] : []
  if ("last" in to) return []
  // Time is known no finer than in parts: the end of its part stands for each call.
  const width = from.millis / from.buckets
  return events.map(({ at, bad }) => ({ at: Math.min(now, (Math.floor(at / width) + 1) * width - 0.001), bad }))
}
