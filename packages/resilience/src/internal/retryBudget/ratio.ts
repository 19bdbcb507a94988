/**
 * The ratio budget as a pure machine: in any window, retries stay within `ratio` of the calls plus a floor.
 *
 * Time is cut into slots, a tenth of the window each. Calls count for ten slots and retries for eleven, so that the
 * rounding to slots is always on the strict side. The algorithm is Finagle's retry budget with a sliding window in place
 * of its leaky token bucket.
 */

export interface Options {
  readonly ratio: number
  /** Retries that any window allows on top of the ratio. */
  readonly floor: number
  readonly windowMillis: number
}

interface Slot {
  /** Which slot of time this is: the slot's start divided by its length. */
  readonly index: number
  readonly calls: number
  readonly retries: number
}

/** The newest slot, which changes with every call, and those before it that still count, empty ones left out. */
export interface State {
  readonly newest: Slot
  readonly older: ReadonlyArray<Slot>
}

const slotsPerWindow = 10

export const initial: State = { newest: { index: -Infinity, calls: 0, retries: 0 }, older: [] }

export const slotAt = (options: Options, nowMillis: number): number =>
  Math.floor(nowMillis / (options.windowMillis / slotsPerWindow))

/** A call came in, which earns `ratio` retries. */
export const call = (state: State, slot: number): State => change(state, slot, 1, 0)

/** Takes one retry, or says `undefined`: there is none left. */
export const reserve = (options: Options, state: State, slot: number): State | undefined => {
  const { calls, retries } = totals(state, slot)
  return retries + 1 <= calls * options.ratio + options.floor ? change(state, slot, 0, 1) : undefined
}

/** Gives back a retry that was taken in `slot` and never made. */
export const cancel = (state: State, slot: number): State => {
  const cancelled = (other: Slot): Slot =>
    other.index === slot ? { ...other, retries: Math.max(0, other.retries - 1) } : other
  return { newest: cancelled(state.newest), older: state.older.map(cancelled) }
}

/** How many retries could be taken now. */
export const available = (options: Options, state: State, slot: number): number => {
  const { calls, retries } = totals(state, slot)
  return Math.max(0, calls * options.ratio + options.floor - retries)
}

const totals = (state: State, slot: number): { readonly calls: number; readonly retries: number } => {
  let calls = 0
  let retries = 0
  const add = (counted: Slot): void => {
    const age = slot - counted.index
    if (age < slotsPerWindow) calls += counted.calls
    if (age <= slotsPerWindow) retries += counted.retries
  }
  add(state.newest)
  state.older.forEach(add)
  return { calls, retries }
}

const change = ({ newest, older }: State, slot: number, calls: number, retries: number): State =>
  newest.index === slot
    ? { newest: { index: slot, calls: newest.calls + calls, retries: newest.retries + retries }, older }
    : {
      newest: { index: slot, calls, retries },
      older: [newest, ...older].filter(({ index }) => slot - index <= slotsPerWindow)
    }
