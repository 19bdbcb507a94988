/** A chain as an `ExecutionPlan`: as much of it as a plan can say. */
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Layer from "effect/Layer"
import type { Engine } from "./engine.ts"
import { expected, sorted } from "./order.ts"

type Plan<Provides, E, R> = ExecutionPlan.ExecutionPlan<{
  provides: Provides
  input: unknown
  error: E
  requirements: R
}>

/** The steps share with the chain what its routes have built. */
export const planOf = <Provides, E, Builds, R>({ settings, states }: Engine<Provides, E, Builds, R>): Plan<
  Provides,
  E,
  R
> => {
  const facts = states.map(({ facts }) => facts)
  const { order } = settings
  const inOrder = typeof order === "function"
    ? order(facts, {})
    : sorted(facts, order, expected(0, undefined), () => undefined)
  const steps = inOrder.map(({ index }) => {
    const { context, route: { options: { retry } } } = states[index]!
    const provide = Layer.effectContext(context)
    return retry === undefined ? { provide } : { provide, schedule: retry }
  })
  // An order that leaves all routes out leaves the first one: a plan has at least one step.
  const [first = { provide: Layer.effectContext(states[0]!.context) }, ...rest] = steps
  // `make` reads the four types off the tuple of its steps, which here is a list.
  return ExecutionPlan.make(first, ...rest) as unknown as Plan<Provides, E, R>
}
