/**
 * Measures now and then how long calls take under less load, and tells the algorithm.
 *
 * An algorithm that compares latency with an older one is lost when the older one is wrong: after the dependency has
 * become slower for good it sees a queue for ever, and under steady load it takes the queue that it made for the normal
 * case and lets it grow. So the limit is lowered to `share` of itself for a window, which is measured:
 *
 * - after `every` windows in which the limit was reached and no longer rising fast. Where it is not reached nothing is
 *   measured, since lowering it might refuse calls that the dependency could well serve.
 * - at once when the limit has halved and calls take no less time for it: then it is not our calls that make them wait
 *
 * The first measurement, and the one after a measurement that is in doubt, comes after a third of `every`.
 *
 * Envoy's adaptive concurrency measures so, too. Netflix's Vegas measures at full load, which keeps the drift.
 */
import type { Algorithm, Bounds, Window } from "./algorithm.ts"

export interface Options {
  /** Windows from one measurement to the next; `Infinity` for no measurements at all. */
  readonly every: number
  readonly share: number
}

export interface State<Inner> {
  readonly limit: number
  readonly inner: Inner
  readonly phase: "Following" | "Measuring"
  /** Windows still to come before the next measurement. */
  readonly due: number
  /** Since the last measurement: the highest limit, the longest latency, and the latency of the last window. */
  readonly highest: number
  readonly longest: number
  readonly latest: number
}

/** A limit that is multiplied by this in one window is on its way, and what is measured would be measured too early. */
const rising = 1.1

export const probing = <Inner extends { readonly limit: number }>(
  { every, share }: Options,
  algorithm: Algorithm<Inner>
): Algorithm<State<Inner>> => {
  const soon = Math.ceil(every / 3)

  const start = (inner: Inner, due: number): State<Inner> => ({
    limit: inner.limit,
    inner,
    phase: "Following",
    due,
    highest: inner.limit,
    longest: 0,
    latest: 0
  })

  const follow = (bounds: Bounds, state: State<Inner>, window: Window): State<Inner> => {
    const inner = algorithm.step(bounds, state.inner, window)
    const { limit } = inner
    const counts = window.inFlight >= Math.floor(state.limit) && limit < state.limit * rising
    const next: State<Inner> = {
      limit,
      inner,
      phase: "Following",
      due: state.due - (counts ? 1 : 0),
      highest: Math.max(state.highest, limit),
      longest: Math.max(state.longest, window.rtt ?? 0),
      latest: window.rtt ?? state.latest
    }
    const lowered = Math.floor(limit * share)
    const isDue = every !== Infinity && (next.due <= 0 || isInVain(next)) && lowered >= bounds.min
    return isDue ? { ...next, limit: lowered, phase: "Measuring" } : next
  }

  const measured = (state: State<Inner>, rtt: number): State<Inner> => {
    // In doubt: the dependency has just changed, or calls are faster by as much as there are fewer of them, so that the
    // lowered limit was still too high.
    const inDoubt = isInVain(state) || rtt < state.latest * (share + 0.1)
    return start(algorithm.rebase(state.inner, rtt), inDoubt ? soon : every)
  }

  return {
    initial: (limit) => start(algorithm.initial(limit), soon),
    step: (bounds, state, window) =>
      state.phase === "Following"
        ? follow(bounds, state, window)
        : window.rtt === undefined
        ? start(state.inner, soon)
        : measured(state, window.rtt),
    rebase: (state, rtt) => start(algorithm.rebase(state.inner, rtt), every)
  }
}

/** The limit has halved, and calls take about as long as at the worst. */
const isInVain = ({ highest, inner, latest, longest }: State<{ readonly limit: number }>): boolean =>
  inner.limit <= highest / 2 && latest > longest * 0.75
