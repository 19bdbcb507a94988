/**
 * How late the event loop is, over the last while.
 *
 * Two monitors take turns, so that what is read covers between one window and two, whoever reads and how often: a reader who
 * clears what he has read takes it from the others.
 */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks"

/** How often the loop is looked at. What a monitor measures contains this much of waiting. */
const resolutionMillis = 10

type Delays = ReturnType<typeof monitorEventLoopDelay>

interface Watch {
  readonly delays: Delays
  /** How busy the loop had been when this began. */
  busy: EventLoopUtilization
}

export class LoopWatch {
  /** Of the two, this one has watched for longer. */
  private older = start()
  private younger = start()

  /** The older forgets, and is the younger from now on. */
  turn(): void {
    const forgetful = this.older
    forgetful.delays.reset()
    forgetful.busy = performance.eventLoopUtilization()
    this.older = this.younger
    this.younger = forgetful
  }

  /** Seconds that the loop was late. */
  lag(read: (delays: Delays) => number): number {
    const { delays } = this.older
    // A monitor that has seen nothing yet answers with the limits of its type.
    return delays.count === 0 ? 0 : Math.max(0, read(delays) / 1e9 - resolutionMillis / 1e3)
  }

  /** The share of time that the loop was not waiting. */
  utilization(): number {
    return performance.eventLoopUtilization(performance.eventLoopUtilization(), this.older.busy).utilization
  }

  stop(): void {
    this.older.delays.disable()
    this.younger.delays.disable()
  }
}

const start = (): Watch => {
  const delays = monitorEventLoopDelay({ resolution: resolutionMillis })
  delays.enable()
  return { delays, busy: performance.eventLoopUtilization() }
}
