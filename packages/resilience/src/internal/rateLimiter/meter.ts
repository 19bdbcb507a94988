/**
 * Token bucket and leaky bucket: a debt that drains at a steady rate.
 *
 * State: `[debt, part, at]`. At the time `at` the debt was `debt + part / per` units, `0 <= part < per`; no state is no debt.
 *
 * Bounds, for amounts taken at clock readings in any window of `w` milliseconds:
 *
 * - token bucket: `burst + limit * w / window`. The debt is at most `burst` after each admission, at least 0 before, and `w`
 *   milliseconds drain at most `limit * w / window` of it.
 * - leaky bucket: starts are apart by what the one before costs, so all but the last of them together cost less than
 *   `limit * w / window`. With costs of 1, `limit` a window.
 *
 * A clock that goes back by up to a window stands still until it is where it was; one that goes back further continues from where
 * it is. Neither drains anything.
 */
import { mulDiv, mulMod } from "./exact.ts"
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"

export const advance = (shape: Shape, state: State, now: number): State => {
  // A state of this rule has three numbers; that it was this rule's is what its table is for.
  const [debt, part, at] = state as unknown as [number, number, number]
  if (now <= at) return at - now > shape.window ? [debt, part, now] : state
  const elapsed = now - at
  // Idle for long: told in floating point with a margin that is wider than its error.
  if (elapsed * shape.rate / shape.per > (debt + 2) * (1 + 1e-9)) return [0, 0, now]
  let left = debt - mulDiv(elapsed, shape.rate, shape.per)
  let rest = part - mulMod(elapsed, shape.rate, shape.per)
  if (rest < 0) {
    rest += shape.per
    left -= 1
  }
  return left < 0 ? [0, 0, now] : [left, rest, now]
}

export const wait = (shape: Shape, state: State, amount: number, now: number): number =>
  until(shape, state, amount - shape.capacity - shape.overflow, now)

export const delay = (shape: Shape, state: State, amount: number, now: number): number =>
  until(shape, state, amount - shape.capacity, now)

export const charge = (state: State, amount: number): State => [state[0]! + amount, state[1]!, state[2]!]

export const used = (state: State): number => state[0]! + (state[1]! > 0 ? 1 : 0)

export const reset = (shape: Shape, state: State, now: number): number => until(shape, state, 0, now)

/** Milliseconds until `debt + excess` is at most 0. */
const until = (shape: Shape, state: State, excess: number, now: number): number => {
  const millis = drainTime(shape, state[0]! + excess, state[1]!)
  return millis === 0 ? 0 : millis + Math.max(0, state[2]! - now)
}

/** `ceil((units * per + part) / rate)` */
const drainTime = ({ per, rate }: Shape, units: number, part: number): number => {
  if (units < 0) return 0
  const remainder = mulMod(units, per, rate)
  const partRemainder = part % rate
  const whole = mulDiv(units, per, rate) + (part - partRemainder) / rate
  if (remainder === 0 && partRemainder === 0) return whole
  return whole + (remainder <= rate - partRemainder ? 1 : 2)
}
