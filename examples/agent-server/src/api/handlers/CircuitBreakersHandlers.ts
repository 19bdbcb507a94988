/** Serves `/admin/circuit-breakers`. */
import type { Breaker, Snapshot } from "effect-resilience/CircuitBreaker"
import { says } from "effect-resilience/http/Problem"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Breakers } from "../../policies.ts"
import { SpeechBreakers } from "../../voice/policies.ts"
import { Api } from "../Api.ts"
import { CircuitBreakerNotFound } from "../Problems.ts"

/** The handlers. Circuits live in this process: what their store can fail with, it cannot. */
export const layer = HttpApiBuilder.group(
  Api,
  "circuitBreakers",
  Effect.fnUntraced(function*(handlers) {
    const ofModels = yield* Breakers
    const ofSpeech = yield* SpeechBreakers
    const breakers: ReadonlyArray<Breaker> = [
      ...Breakers.names.map((name) => ofModels[name]),
      ...SpeechBreakers.names.map((name) => ofSpeech[name])
    ]
    const find = (name: string): Effect.Effect<Breaker, CircuitBreakerNotFound> => {
      const known = breakers.find((each) => each.name === name)
      return known === undefined ? Effect.fail(notFound(name, breakers)) : Effect.succeed(known)
    }
    const commanding =
      (command: "forceOpen" | "forceClose" | "release" | "reset") =>
      ({ params, query }: { readonly params: { readonly name: string }; readonly query: { readonly key?: string } }) =>
        Effect.flatMap(find(params.name), (breaker) =>
          Effect.orDie(Effect.andThen(
            breaker[command](query.key),
            Effect.map(breaker.metrics(query.key), (snapshot) => circuit(breaker, snapshot))
          )))
    return handlers.handleAll({
      list: () =>
        Effect.map(
          Effect.forEach(breakers, circuitsOf),
          (circuits) => ({ circuit_breakers: Arr.flatten(circuits) })
        ),
      open: commanding("forceOpen"),
      close: commanding("forceClose"),
      release: commanding("release"),
      reset: commanding("reset")
    })
  })
)

const notFound = (name: string, breakers: ReadonlyArray<Breaker>) =>
  new CircuitBreakerNotFound(
    says(
      `There is no circuit breaker "${name.slice(0, 100)}". There are: ${breakers.map((each) => each.name).join(", ")}.`
    )
  )

/** A breaker that has not been called yet has one circuit, which is closed. */
const circuitsOf = (breaker: Breaker) =>
  Effect.gen(function*() {
    const known = yield* breaker.snapshot
    const snapshots = known.length === 0 ? [yield* breaker.metrics()] : known
    return snapshots.map((snapshot) => circuit(breaker, snapshot))
  }).pipe(Effect.orDie)

const circuit = ({ name }: Breaker, snapshot: Snapshot) => ({
  name,
  key: snapshot.key,
  state: snapshot.state,
  retry_after_ms: snapshot.retryAfter,
  openings: snapshot.openings,
  in_flight: snapshot.inFlight,
  probing: snapshot.probing,
  admitted: snapshot.admitted,
  rules: snapshot.rules
})
