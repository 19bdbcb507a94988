/**
 * Estimates how many calls wait inside the dependency, from how much longer they take than without load, and holds that
 * number between two bounds.
 *
 * It is `VegasLimit` of Netflix's concurrency-limits, after TCP Vegas (Brakmo and Peterson, 1995): the estimate is
 * `limit * (1 - rtt without load / rtt)`; alpha, beta and threshold are multiples of the limit's logarithm. Unlike there a
 * drop teaches no latency: a dependency that refuses in a millisecond does not answer in one.
 */
import { type Algorithm, isUntried, within } from "./algorithm.ts"

export interface Options {
  /** In multiples of log10(limit): fewer waiting calls than `alpha` let the limit grow, more than `beta` shrink it. */
  readonly alpha: number
  readonly beta: number
  /** How much of each step is taken, up to 1. */
  readonly smoothing: number
}

export interface State {
  readonly limit: number
  /** What a call takes without load; `undefined` before the first window. */
  readonly noLoad: number | undefined
}

export const vegas = ({ alpha, beta, smoothing }: Options): Algorithm<State> => ({
  initial: (limit) => ({ limit, noLoad: undefined }),
  step: (bounds, state, window) => {
    const { limit, noLoad } = state
    const { rtt } = window
    const unit = Math.max(1, Math.floor(Math.log10(limit)))
    const to = (next: number): State => ({
      ...state,
      limit: within(bounds, limit * (1 - smoothing) + within(bounds, next) * smoothing)
    })
    if (window.dropped) return to(limit - unit)
    if (rtt === undefined) return state
    if (noLoad === undefined || rtt < noLoad) return { limit, noLoad: rtt }
    if (isUntried(limit, window)) return state
    const waiting = Math.ceil(limit * (1 - noLoad / rtt))
    if (waiting <= unit) return to(limit + beta * unit)
    if (waiting < alpha * unit) return to(limit + unit)
    if (waiting > beta * unit) return to(limit - unit)
    return state
  },
  rebase: ({ limit }, rtt) => ({ limit, noLoad: rtt })
})
