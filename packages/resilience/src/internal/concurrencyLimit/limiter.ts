/**
 * A limit on the calls in flight that follows an algorithm, as a machine: calls enter and leave, windows of them close,
 * the limit moves. Times are in milliseconds and come from outside.
 */
import type { Algorithm, Bounds } from "./algorithm.ts"

/**
 * What a call that has ended says of the dependency: `"answered"`, so its latency counts; `"dropped"`, it refused or ran out
 * of time; `"ignored"`, nothing.
 */
export type Outcome = "answered" | "dropped" | "ignored"

export interface Options extends Bounds {
  readonly initial: number
  readonly windowMillis: number
  /** A window is not closed before it has as many calls. */
  readonly windowCalls: number
}

/** Latencies below this, in milliseconds, are cache hits and the like: they measure this process. */
const leastLatency = 0.1

/** How many times as long as its calls a window is at least. */
const windowsPerCall = 2

/**
 * A window counts the calls that both began and ended in it, and lasts for twice as long as calls take: what is seen is
 * the limit of now and not an earlier one, and slow calls are seen, too. So with calls of ten seconds the limit moves
 * every twenty.
 */
export class Limiter<State extends { readonly limit: number }> {
  inFlight = 0
  private readonly options: Options
  private readonly algorithm: Algorithm<State>
  private state: State
  private windowStart = -Infinity
  private windowEnd = -Infinity
  private calls = 0
  private answered = 0
  private latency = 0
  private mostInFlight = 0
  private dropped = false

  constructor(options: Options, algorithm: Algorithm<State>) {
    this.options = options
    this.algorithm = algorithm
    this.state = algorithm.initial(options.initial)
  }

  get limit(): number {
    return Math.floor(this.state.limit)
  }

  /** Lets a call in, or not. What it returns is how many are in flight with it; 0 when it is refused. */
  enter(): number {
    return this.inFlight < this.limit ? ++this.inFlight : 0
  }

  /** A call that came in as one of `inFlight` has ended, and took so long. */
  leave(now: number, millis: number, inFlight: number, outcome: Outcome): void {
    this.inFlight--
    if (outcome === "ignored" || now - millis < this.windowStart) return
    if (outcome === "answered" && millis < leastLatency) return
    if (this.windowEnd === -Infinity) this.windowEnd = now + this.options.windowMillis
    this.calls++
    this.mostInFlight = Math.max(this.mostInFlight, inFlight)
    if (outcome === "dropped") this.dropped = true
    else {
      this.answered++
      this.latency += millis
    }
    if (now >= this.windowEnd && this.calls >= this.options.windowCalls) this.close(now)
  }

  private close(now: number): void {
    const rtt = this.answered === 0 ? undefined : this.latency / this.answered
    this.state = this.algorithm.step(this.options, this.state, {
      rtt,
      inFlight: this.mostInFlight,
      dropped: this.dropped
    })
    this.windowStart = now
    this.windowEnd = now + Math.max(this.options.windowMillis, windowsPerCall * (rtt ?? 0))
    this.calls = 0
    this.answered = 0
    this.latency = 0
    this.mostInFlight = 0
    this.dropped = false
  }
}
