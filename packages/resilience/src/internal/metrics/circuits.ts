/** How many circuits of a breaker are in which state, from what its signals say. */
import type { CircuitState } from "../../Signal.ts"
import { circuitStates } from "./catalogue/resilience.ts"

/**
 * A breaker may have a circuit for each of thousands of keys and forgets closed ones without a word, so what is kept are those in
 * another state; a breaker keeps these, too.
 */
export class Circuits {
  private readonly byName = new Map<string, Map<string, CircuitState>>()

  /** Each state with the number of circuits in it; closed is 1 while none is in another state. */
  moved(name: string, key: string, to: CircuitState): ReadonlyArray<readonly [CircuitState, number]> {
    let states = this.byName.get(name)
    if (states === undefined) this.byName.set(name, states = new Map())
    if (to === "Closed") states.delete(key)
    else states.set(key, to)
    const current = [...states.values()]
    return circuitStates.map((state) => [
      state,
      state === "Closed" ? Number(current.length === 0) : current.filter((other) => other === state).length
    ])
  }
}
