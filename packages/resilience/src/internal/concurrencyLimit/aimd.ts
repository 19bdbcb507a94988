/**
 * Additive increase, multiplicative decrease: one more after a good window that used the limit, a share less after one
 * with a drop. It takes no notice of latency below `timeoutMillis`.
 *
 * It is `AIMDLimit` of Netflix's concurrency-limits; the idea is TCP's congestion avoidance (Chiu and Jain, 1989).
 */
import { type Algorithm, isUntried, within } from "./algorithm.ts"

export interface Options {
  /** What the limit is multiplied with after a drop. */
  readonly backoff: number
  /** A window whose calls took longer on average counts as dropped. */
  readonly timeoutMillis: number
}

export interface State {
  readonly limit: number
}

export const aimd = ({ backoff, timeoutMillis }: Options): Algorithm<State> => ({
  initial: (limit) => ({ limit }),
  step: (bounds, { limit }, window) => {
    if (window.dropped || (window.rtt !== undefined && window.rtt > timeoutMillis)) {
      return { limit: within(bounds, Math.floor(limit * backoff)) }
    }
    return isUntried(limit, window) ? { limit } : { limit: within(bounds, limit + 1) }
  },
  rebase: (state) => state
})
