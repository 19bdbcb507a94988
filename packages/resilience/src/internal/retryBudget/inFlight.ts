/**
 * The in-flight budget as a pure machine: at any moment, retries (waiting or running) stay within `ratio` of the calls
 * in flight, or `minimum` if that is more. It is Envoy's retry budget.
 */

export interface Options {
  readonly ratio: number
  readonly minimum: number
}

export interface State {
  readonly calls: number
  readonly retries: number
}

export const initial: State = { calls: 0, retries: 0 }

export const callStarted = (state: State): State => ({ ...state, calls: state.calls + 1 })

export const callEnded = (state: State): State => ({ ...state, calls: Math.max(0, state.calls - 1) })

/** Takes one retry, or says `undefined`: as many are in flight as may be. */
export const reserve = (options: Options, state: State): State | undefined =>
  state.retries + 1 <= limit(options, state) ? { ...state, retries: state.retries + 1 } : undefined

/** A retry that was taken has ended, or was never made. */
export const release = (state: State): State => ({ ...state, retries: Math.max(0, state.retries - 1) })

/** How many retries could be taken now. */
export const available = (options: Options, state: State): number => Math.max(0, limit(options, state) - state.retries)

const limit = (options: Options, state: State): number => Math.max(options.minimum, options.ratio * state.calls)
