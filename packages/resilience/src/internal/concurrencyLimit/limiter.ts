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

export class Limiter<State extends { readonly limit: number }> {
  inFlight = 0
  private readonly options: Options
  private readonly algorithm: Algorithm<State>
  private state: State
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

  /** A call that came in as one of `inFlight` has ended, and took so long. `true` when the limit has been looked at. */
  leave(now: number, millis: number, inFlight: number, outcome: Outcome): boolean {
    this.inFlight--
    if (outcome === "ignored" || (outcome === "answered" && millis < leastLatency)) return false
    this.calls++
    if (outcome === "answered") {
      this.answered++
      this.latency += millis
    } else {
      this.dropped = true
    }
    this.mostInFlight = Math.max(this.mostInFlight, inFlight)
    if (this.windowEnd === -Infinity) this.windowEnd = now + this.options.windowMillis
    if (now < this.windowEnd || this.calls < this.options.windowCalls) return false
    this.state = this.algorithm.step(this.options, this.state, {
      rtt: this.answered === 0 ? undefined : this.latency / this.answered,
      inFlight: this.mostInFlight,
      dropped: this.dropped
    })
    this.windowEnd = now + this.options.windowMillis
    this.calls =
      this.answered =
      this.latency =
      this.mostInFlight =
        0
    this.dropped = false
    return true
  }
}
