/**
 * Compares how long calls take now with how long they take in the long run, and moves the limit by the ratio of the two,
 * plus some room to grow.
 *
 * It is `Gradient2Limit` of Netflix's concurrency-limits, where the long run is an exponential average too. It differs in
 * four things:
 *
 * - It starts as TCP does, growing by half with each window until calls take longer.
 * - The ratio may be above 1, up to 1.25. Cut off at 1, only half of the errors of a noisy latency count, and the limit
 *   drifts down.
 * - It believes at once that calls have become faster, so that it forgets an outage in one window.
 * - The room to grow is by default a share of the limit, so that large limits find their way, too.
 */
import { type Algorithm, isUntried, within } from "./algorithm.ts"

export interface Options {
  /** How much longer than in the long run calls may take before the limit shrinks: 1.5 is half as long again. */
  readonly tolerance: number
  /** How many windows the long run is. */
  readonly longWindow: number
  /** Calls that may wait in the dependency, the room to grow; `undefined` for a twentieth of the limit, at least 1. */
  readonly queue: number | undefined
  /** How much of each step is taken, up to 1. */
  readonly smoothing: number
}

export interface State {
  readonly limit: number
  /** What a call takes in the long run, over `windows` windows; 0 before the first. */
  readonly long: number
  readonly windows: number
  /** Whether calls have not yet taken longer since the start, or since they were found to take longer for good. */
  readonly starting: boolean
  /** Whether the long run has been measured without load. */
  readonly measured: boolean
}

/** So many windows the long run is a plain average. */
const warmUp = 10

/** A latency that differs from the long run by more than this factor is no chance. */
const marked = 1.25

/** One that differs by less may well be. */
const close = 1.1

export const gradient2 = ({ longWindow, queue, smoothing, tolerance }: Options): Algorithm<State> => ({
  initial: (limit) => ({ limit, long: 0, windows: 0, starting: true, measured: false }),
  step: (bounds, state, window) => {
    const { limit } = state
    const short = window.rtt
    if (short === undefined) return state
    if (state.starting && state.windows > 0 && short > state.long * marked) {
      // The start went too far. What was measured in it is no long run.
      const back = Math.max(0.5, state.long / short)
      return { ...state, windows: warmUp, limit: within(bounds, limit * back), starting: false }
    }
    const windows = state.windows + 1
    const weight = windows <= Math.min(warmUp, longWindow) ? 1 / windows : 2 / (longWindow + 1)
    const average = state.long + (short - state.long) * weight
    const next = { ...state, windows, long: average > short * marked ? short : average }
    if (isUntried(limit, window)) return next
    if (state.starting) return { ...next, limit: within(bounds, limit * 1.5) }
    const gradient = Math.max(0.5, Math.min(marked, tolerance * average / short))
    const target = limit * gradient + (queue ?? Math.max(1, limit / 20))
    return { ...next, limit: within(bounds, limit * (1 - smoothing) + target * smoothing) }
  },
  // One window is a small sample: a latency that may well be the one known before moves it only in part.
  rebase: ({ limit, long, measured }, rtt) => ({
    limit,
    long: measured && rtt < long * close && long < rtt * close ? long + (rtt - long) * 0.3 : rtt,
    windows: warmUp,
    starting: rtt > long * marked,
    measured: true
  })
})
