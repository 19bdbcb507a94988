/**
 * What the algorithms have in common: a state that holds a limit, moved on by one {@link Window} of calls at a time.
 * The limit is kept with its fraction; what is enforced is the whole part.
 */

/** What the calls of one stretch of time told. */
export interface Window {
  /** How long a call took on average, of those that were answered; `undefined` when none was. */
  readonly rtt: number | undefined
  /** How many were in flight at once, at most. */
  readonly inFlight: number
  /** Whether the dependency refused a call or let it run out of time. */
  readonly dropped: boolean
}

export interface Bounds {
  readonly min: number
  readonly max: number
}

export interface Algorithm<State extends { readonly limit: number }> {
  readonly initial: (limit: number) => State
  readonly step: (bounds: Bounds, state: State, window: Window) => State
  /** Forgets how long a call took without load, and learns it anew: it is `rtt`. */
  readonly rebase: (state: State, rtt: number) => State
}

export const within = ({ max, min }: Bounds, limit: number): number => Math.min(max, Math.max(min, limit))

/** A limit of which not half was used has not been tried, and what was seen says nothing about it. */
export const isUntried = (limit: number, { inFlight }: Window): boolean => inFlight * 2 < limit
