/** Random histories of a limiter: who asks for how much, and when. */
import * as Schema from "effect/Schema"
import * as Algorithms from "../../src/internal/rateLimiter/algorithms.ts"
import * as Shape from "../../src/internal/rateLimiter/shape.ts"
import type { State } from "../../src/internal/rateLimiter/state.ts"

export const integerBetween = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** After `millis` somebody asks for `cost`. */
const Request = Schema.Struct({ millis: integerBetween(0, 700), cost: integerBetween(0, 4) })

export const History = Schema.Array(Request).check(Schema.isMaxLength(120))

export interface Admission {
  readonly at: number
  readonly cost: number
}

/** What of a history is admitted; time that goes back takes a negative `millis`. */
export const run = (
  shape: Shape.Shape,
  history: ReadonlyArray<{ readonly millis: number; readonly cost: number }>,
  start = 1_000_000
): ReadonlyArray<Admission> => {
  const admitted: Array<Admission> = []
  let state: State | undefined
  let now = start
  for (const { cost, millis } of history) {
    now += millis
    const units = cost * shape.scale
    const { delay, state: next, wait } = Algorithms.step(shape, state, units, now)
    if (wait > 0) continue
    admitted.push({ at: now + delay, cost: units })
    state = next
  }
  return admitted
}

/** The most that was admitted in any window of this length. */
export const peak = (admitted: ReadonlyArray<Admission>, window: number): number => {
  const sorted = admitted.toSorted((a, b) => a.at - b.at)
  let most = 0
  let sum = 0
  let from = 0
  for (const { at, cost } of sorted) {
    sum += cost
    while (sorted[from]!.at <= at - window) sum -= sorted[from++]!.cost
    most = Math.max(most, sum)
  }
  return most
}

export const windowed = (limit: number, window: number, largest = limit): Shape.Windowed => {
  const scale = Shape.scaleFor(largest)!
  return { limit: Shape.toUnits(limit, scale), window, scale }
}
