/** Which phase of a script of faults a call falls into, as a pure machine. */

interface Phase {
  /** How long it lasts, in milliseconds. `Infinity` where it does not end by time. */
  readonly millis: number
  /** How many calls it serves. `Infinity` where it does not end by calls. */
  readonly calls: number
}

export interface Options {
  readonly phases: ReadonlyArray<Phase>
  readonly repeat: boolean
}

export interface State {
  /** The phase that runs; the number of phases when all are over. */
  readonly index: number
  readonly startedAt: number
  /** Calls that it has served. */
  readonly served: number
}

export const start = (now: number): State => ({ index: 0, startedAt: now, served: 0 })

/** A call comes at `now`: the state after it, and the phase that serves it, or `undefined` when all are over. */
export const call = (options: Options, before: State, now: number): readonly [State, number | undefined] => {
  const state = passTime(options, before, now)
  const phase = options.phases[state.index]
  if (phase === undefined) return [state, undefined]
  const served = state.served + 1
  return [served < phase.calls ? { ...state, served } : next(options, state, now), state.index]
}

const next = ({ phases, repeat }: Options, { index }: State, startedAt: number): State => ({
  index: repeat ? (index + 1) % phases.length : index + 1,
  startedAt,
  served: 0
})

const passTime = (options: Options, before: State, now: number): State => {
  let state = before
  while (true) {
    const phase = options.phases[state.index]
    if (phase === undefined || now - state.startedAt < phase.millis) return state
    state = next(options, state, state.startedAt + phase.millis)
    if (options.repeat && state.index === 0) state = skipRounds(options, state, now)
  }
}

/** Whole rounds that nobody called in are passed over at once. */
const skipRounds = ({ phases }: Options, state: State, now: number): State => {
  const round = phases.reduce((sum, { millis }) => sum + millis, 0)
  const rounds = Math.floor((now - state.startedAt) / round)
  return rounds > 0 ? { ...state, startedAt: state.startedAt + rounds * round } : state
}
