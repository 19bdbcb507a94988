/**
 * How long to wait before the next attempt, as a pure function.
 *
 * The jitters are those of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */

export type Jitter = "full" | "equal" | "decorrelated" | "none"

export interface Options {
  readonly baseMillis: number
  readonly factor: number
  readonly capMillis: number
  readonly jitter: Jitter
}

/** The largest wait there is: beyond it, a sum of milliseconds loses whole ones. */
const longest = Number.MAX_SAFE_INTEGER

/**
 * The wait after the `attempt`-th failure, counted from 1, in milliseconds within `[0, capMillis]`.
 *
 * `previous` is the wait before it (only decorrelated jitter looks at it) and `random` is uniform in `[0, 1)`.
 */
export const wait = (options: Options, attempt: number, previous: number | undefined, random: number): number => {
  const cap = Math.min(options.capMillis, longest)
  // A power may overflow to Infinity, which the cap takes care of; it cannot be NaN, since base is above zero.
  const exponential = Math.min(cap, options.baseMillis * options.factor ** (attempt - 1))
  switch (options.jitter) {
    case "none":
      return exponential
    case "full":
      return random * exponential
    case "equal":
      return Math.min(cap, exponential / 2 + random * exponential / 2)
    case "decorrelated": {
      const low = Math.min(options.baseMillis, cap)
      const high = Math.min(cap, (previous ?? options.baseMillis) * 3)
      return Math.min(cap, low + random * Math.max(0, high - low))
    }
  }
}
