/** Providers that are broken for a while, and well again for the next row. */
import * as Effect from "effect/Effect"
import { json } from "../support/client.ts"
import { providers, quick } from "../support/simulated.ts"
import { askAsOperator } from "./ask.ts"
import type { Subject } from "./kit.ts"

/** Changes faults; what is wrong with them is an error of the row. */
export const setFaults = (faults: Readonly<Record<string, object>>): Effect.Effect<void, never, Subject> =>
  Effect.map(askAsOperator("PUT /sim/faults", { body: faults }), (reply) => {
    if (reply.status !== 200) throw new Error(reply.text)
  })

/** All providers are well, and no circuit or route remembers otherwise. */
const mend: Effect.Effect<void, never, Subject> = Effect.gen(function*() {
  yield* setFaults(Object.fromEntries(providers.map((name) => [name, quick])))
  yield* Effect.forEach(providers, (name) => askAsOperator(`POST /admin/circuit-breakers/${name}/reset`))
  const { fallback_chains } = json(yield* askAsOperator("GET /admin/fallback-chains"))
  for (const { name, routes } of fallback_chains) {
    for (const { route } of routes) yield* askAsOperator(`POST /admin/fallback-chains/${name}/routes/${route}/reset`)
  }
})

/** Does something while providers have faults. */
export const broken = <A, E, R>(
  faults: Readonly<Record<string, object>>,
  row: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Subject> => Effect.ensuring(Effect.andThen(setFaults(faults), row), mend)

/** The same faults for all language models. */
export const models = (faults: object): Readonly<Record<string, object>> =>
  Object.fromEntries(providers.filter((name) => name.startsWith("llm-")).map((name) => [name, faults]))
