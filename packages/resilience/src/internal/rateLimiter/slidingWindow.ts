/**
 * Sliding window: a log of what was taken, coarse where it would grow long.
 *
 * State: `[first, last, amount, last, amount, ...]`, the oldest entry first; an entry was taken at `last` at the latest, and the newest
 * began at `first`. Up to `slices` entries are exact. From then on what is taken within `window / slices` of the beginning of
 * the newest joins it, so there are at most about twice as many.
 *
 * Bound: `limit` in any window. An entry counts until a window after the last thing in it, so at each admission everything that was
 * taken in the window before it is counted. What is joined comes back late by at most `window / slices`, never early.
 *
 * A clock that goes back by up to a window stands still until it is where it was; one that goes back further takes the log with it.
 */
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"

const newest = (state: State): number => state.length > 1 ? state[state.length - 2]! : 0

export const advance = (shape: Shape, state: State, now: number): State => {
  const back = newest(state) - now
  if (back > shape.window) return state.map((value, at) => at === 0 || at % 2 === 1 ? value - back : value)
  let from = 1
  while (from < state.length && now - state[from]! >= shape.window) from += 2
  return from === 1 ? state : from >= state.length ? [] : [state[0]!, ...state.slice(from)]
}

export const wait = (shape: Shape, state: State, amount: number, now: number): number => {
  let excess = used(state) + amount - shape.limit
  for (let at = 1; excess > 0 && at < state.length; at += 2) {
    excess -= state[at + 1]!
    if (excess <= 0) return shape.window - (now - state[at]!)
  }
  return 0
}

export const charge = (shape: Shape, state: State, amount: number, now: number): State => {
  const length = state.length
  const last = newest(state)
  const at = Math.max(now, last)
  if (length === 0) return [at, at, amount]
  const joins = at === last ||
    (length - 1) / 2 >= shape.slices && at - state[0]! < Math.ceil(shape.window / shape.slices)
  if (!joins) return [at, ...state.slice(1), at, amount]
  const next = state.slice()
  next[length - 2] = at
  next[length - 1] = state[length - 1]! + amount
  return next
}

export const used = (state: State): number => {
  let sum = 0
  for (let at = 2; at < state.length; at += 2) sum += state[at]!
  return sum
}

export const reset = (shape: Shape, state: State, now: number): number =>
  state.length === 0 ? 0 : shape.window - (now - newest(state))
