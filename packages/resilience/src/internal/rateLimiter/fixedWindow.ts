/**
 * Fixed window: what was taken since the window began.
 *
 * State: `[start, used]`. Bound: `2 * limit` in any window, `limit` at the end of one and `limit` at the start of the next.
 *
 * With an `overflow`, more than the limit is promised to the windows that follow, each of which gives `limit` of it.
 * A clock that goes back before the start by up to a window finds the window as it was; one that goes back further moves the window
 * to where it is, with what was used.
 */
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"

export const startOf = (shape: Shape, now: number): number => shape.aligned ? now - now % shape.window : now

export const advance = (shape: Shape, state: State, now: number): State => {
  // A state of this rule has two numbers; that it was this rule's is what its table is for.
  const [start, used] = state as unknown as [number, number]
  const { limit, overflow, window } = shape
  if (now < start) return start - now > window ? [startOf(shape, now), used] : state
  const elapsed = now - start
  if (elapsed < window) return state
  const passed = (elapsed - elapsed % window) / window
  const left = overflow === 0 ? 0 : Math.max(0, used - passed * limit)
  return left === 0 ? [startOf(shape, now), 0] : [start + passed * window, left]
}

export const wait = (shape: Shape, state: State, amount: number, now: number): number => {
  const excess = state[1]! + amount - shape.limit - shape.overflow
  if (excess <= 0) return 0
  return windows(shape, shape.overflow === 0 ? 1 : Math.ceil(excess / shape.limit), state, now)
}

export const delay = (shape: Shape, state: State, amount: number, now: number): number => {
  const excess = state[1]! + amount - shape.limit
  return excess <= 0 ? 0 : windows(shape, Math.ceil(excess / shape.limit), state, now)
}

export const charge = (state: State, amount: number): State => [state[0]!, state[1]! + amount]

export const used = (state: State): number => state[1]!

export const reset = (shape: Shape, state: State, now: number): number =>
  state[1] === 0
    ? 0
    : windows(shape, shape.overflow === 0 ? 1 : Math.ceil(state[1]! / shape.limit), state, now)

/** Milliseconds until the window that comes `count` windows later begins. */
const windows = (shape: Shape, count: number, state: State, now: number): number =>
  count * shape.window - (now - state[0]!)
