/**
 * Measures now and then how long calls take under less load, and tells the algorithm.
 *
 * An algorithm that compares latency with an older one is lost when the older one is wrong: after the dependency has
 * become slower for good it sees a queue for ever, and under steady load it takes the queue that it made for the normal
 * case and lets it grow. So the limit is lowered to `share` of itself for two windows, of which the first lets the calls
 * of before run out and the second is measured:
 *
 * - after every `every` windows in which the limit was used, the first time after a third of them
 * - at once when the limit has halved and calls take no less time for it: then it is not our calls that make them wait
 *
 * Envoy's adaptive concurrency does the first. Netflix's Vegas measures at full load, which keeps the drift.
 */
import { type Algorithm, type Bounds, isUntried, type Window } from "./algorithm.ts"

export interface Options {
  /** Windows from one measurement to the next; `Infinity` for no measurements at all. */
  readonly every: number
  readonly share: number
}

export interface State<Inner> {
  readonly limit: number
  readonly inner: Inner
  readonly phase: "Following" | "Draining" | "Measuring"
  /** Since the last measurement: windows that used the limit, the highest limit, the longest latency. */
  readonly windows: number
  readonly highest: number
  readonly longest: number
}

export const probing = <Inner extends { readonly limit: number }>(
  { every, share }: Options,
  algorithm: Algorithm<Inner>
): Algorithm<State<Inner>> => {
  const start = (inner: Inner, windows = 0): State<Inner> => ({
    limit: inner.limit,
    inner,
    phase: "Following",
    windows,
    highest: inner.limit,
    longest: 0
  })

  const follow = (bounds: Bounds, state: State<Inner>, window: Window): State<Inner> => {
    const inner = algorithm.step(bounds, state.inner, window)
    const { limit } = inner
    const rtt = window.rtt ?? 0
    const windows = state.windows + (isUntried(state.limit, window) ? 0 : 1)
    const highest = Math.max(state.highest, limit)
    const longest = Math.max(state.longest, rtt)
    const inVain = limit <= highest / 2 && rtt > longest * 0.75
    const lowered = Math.floor(limit * share)
    const isDue = every !== Infinity && (windows >= every || inVain) && lowered >= bounds.min
    return isDue
      ? { limit: lowered, inner, phase: "Draining", windows, highest, longest }
      : { limit, inner, phase: "Following", windows, highest, longest }
  }

  return {
    // What was measured first may have been measured above the capacity.
    initial: (limit) => start(algorithm.initial(limit), every === Infinity ? 0 : Math.floor(every * 2 / 3)),
    step: (bounds, state, window) => {
      switch (state.phase) {
        case "Following":
          return follow(bounds, state, window)
        case "Draining":
          return { ...state, phase: "Measuring" }
        case "Measuring":
          return start(window.rtt === undefined ? state.inner : algorithm.rebase(state.inner, window.rtt))
      }
    },
    rebase: (state, rtt) => start(algorithm.rebase(state.inner, rtt))
  }
}
