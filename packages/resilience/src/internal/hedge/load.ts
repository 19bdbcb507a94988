/**
 * The load that hedges may add, as a pure machine: each call earns a share of a hedge, each hedge costs a whole one.
 *
 * What is saved up is limited, so that a long quiet time does not pay for a storm: in any stretch of calls there are
 * at most `maxExtraLoad` hedges a call, plus what had been saved. It starts with nothing, so since the start there
 * are never more hedges than `maxExtraLoad` x calls.
 */

/** What a hedge costs. Whole numbers: ten tenths are one, which they are not in floating point. */
const cost = 1_000_000

export interface Options {
  /** What each call earns. */
  readonly earned: number
  /** The most that is saved up. */
  readonly saved: number
}

export const options = (maxExtraLoad: number, savedHedges: number): Options => ({
  earned: Math.floor(maxExtraLoad * cost),
  // A call that earns more than one hedge may spend them all.
  saved: Math.max(savedHedges, Math.ceil(maxExtraLoad)) * cost
})

/** Millionths of a hedge. */
export type State = number

export const initial: State = 0

/** A call came in. */
export const call = ({ earned, saved }: Options, state: State): State => Math.min(saved, state + earned)

/** Takes one hedge, or says `undefined`: there is none left. */
export const take = (state: State): State | undefined => state >= cost ? state - cost : undefined

/** How many hedges could be launched now. */
export const available = (state: State): number => Math.floor(state / cost)
