/** What the breakers remember, and the operator's word against theirs. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Breaker, CircuitStoreError, Snapshot } from "../../../CircuitBreaker.ts"
import { AdminKey } from "../../../http/AdminKey.ts"
import { type Like, type Mounting, serve, type Served } from "./mounted.ts"
import * as Named from "./named.ts"
import * as Problems from "./problems.ts"
import { Replies, strictInput } from "./replies.ts"

/** A circuit as it is now. */
const Circuit = Schema.Struct({
  name: Schema.String.annotate({ description: "The breaker" }),
  key: Schema.String.annotate({ description: "Which of its circuits" }),
  state: Schema.Literals(["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"]),
  retry_after_ms: Schema.NullOr(Schema.Finite).annotate({
    description: "When a call may be let through; 0 for now, null for never"
  }),
  openings: Schema.Int.annotate({ description: "How often it opened in a row" }),
  in_flight: Schema.Int,
  probing: Schema.Int,
  admitted: Schema.Finite.annotate({ description: "The share of calls that is let through" }),
  rules: Schema.Array(Schema.Struct({
    rule: Schema.String,
    calls: Schema.Int,
    bad: Schema.Int,
    rate: Schema.Finite
  })).annotate({ description: "What each rule of its trip policy remembers" })
}).annotate({ identifier: "Circuit" })

const Key = Schema.String.check(Schema.isPattern(/^[^\p{Cc}]{1,256}$/u, {
  message: "must be 1 to 256 characters, none of them a control character"
}))

const asked = [Problems.InvalidRequest, Problems.StorageUnavailable] as const

const command = <const Name extends "open" | "close" | "release" | "reset">(name: Name, summary: string) =>
  HttpApiEndpoint.post(name, `/admin/circuit-breakers/:name/${name}`, {
    params: { name: Schema.String },
    query: { key: Schema.optionalKey(Key).annotate({ description: "The circuit's key; \"default\" without it" }) },
    success: Circuit,
    error: [...asked, Problems.CircuitBreakerNotFound]
  }).annotateMerge(OpenApi.annotations({ summary }))

/**
 * The circuit breakers, for the server's operator.
 *
 * | endpoint | what |
 * | --- | --- |
 * | `GET /admin/circuit-breakers` | all circuits: state, when a call may be let through, what the rules remember |
 * | `POST /admin/circuit-breakers/{name}/open?key=` | lets no call through until the circuit is released or reset |
 * | `POST /admin/circuit-breakers/{name}/close?key=` | lets every call through, uncounted, until then |
 * | `POST /admin/circuit-breakers/{name}/release?key=` | lets the circuit decide again |
 * | `POST /admin/circuit-breakers/{name}/reset?key=` | closes the circuit and forgets what it remembers |
 *
 * @category groups
 * @since 0.1.0
 */
export class CircuitBreakers extends HttpApiGroup.make("circuitBreakers").add(
  HttpApiEndpoint.get("list", "/admin/circuit-breakers", {
    success: Schema.Struct({ circuit_breakers: Schema.Array(Circuit) }),
    error: asked
  }).annotateMerge(OpenApi.annotations({ summary: "List all circuits" })),
  command("open", "Let no call through until the circuit is released or reset"),
  command("close", "Let every call through, uncounted, until the circuit is released or reset"),
  command("release", "Let the circuit decide again: one forced open probes, one forced closed is closed"),
  command("reset", "Close the circuit and forget what it remembers")
).middleware(AdminKey)
  .middleware(Replies)
  .annotateMerge(strictInput)
  .annotateMerge(OpenApi.annotations({ title: "Circuit breakers" }))
{}

/**
 * Options of {@link layerCircuitBreakers}.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitBreakersOptions<R = never> {
  /** The breakers that there are, each under its `name`. */
  readonly breakers: Named.Named<Breaker, R>
}

export const layer = <ApiId extends string, Group extends Like<typeof CircuitBreakers>, R = never>(
  api: Mounting<ApiId, "circuitBreakers", Group>,
  options: CircuitBreakersOptions<R>
): Served<ApiId, Group, R> =>
  Layer.unwrap(
    Effect.map(Named.lookup(options.breakers), (breakers) =>
      serve<typeof CircuitBreakers>()(api, (api) =>
        HttpApiBuilder.group(api, "circuitBreakers", (handlers) =>
          handlers.handleAll({
            list: () =>
              Effect.map(
                Effect.flatMap(
                  breakers,
                  Effect.forEach((breaker) =>
                    stored(circuitsOf(breaker))
                  )
                ),
                (circuits) => ({ circuit_breakers: Arr.flatten(circuits) })
              ),
            open: commanding(breakers, "forceOpen"),
            close: commanding(breakers, "forceClose"),
            release: commanding(breakers, "release"),
            reset: commanding(breakers, "reset")
          }))))
  )

/** Does it, and says how the circuit is then. */
const commanding =
  (breakers: Effect.Effect<ReadonlyArray<Breaker>>, command: "forceOpen" | "forceClose" | "release" | "reset") =>
  ({ params, query }: { readonly params: { readonly name: string }; readonly query: { readonly key?: string } }) =>
    Effect.gen(function*() {
      const breaker = yield* Named.find(breakers, params.name, (names) => notFound(params.name, names))
      return yield* stored(Effect.andThen(
        breaker[command](query.key),
        Effect.map(breaker.metrics(query.key), (snapshot) => toCircuit(breaker, snapshot))
      ))
    })

const notFound = (name: string, names: ReadonlyArray<string>) =>
  new Problems.CircuitBreakerNotFound(Named.noSuch("circuit breaker", name, names))

const stored = <A>(self: Effect.Effect<A, CircuitStoreError>) =>
  Effect.catch(self, (error) => Problems.storageDown("circuits", error))

/** A breaker that has not been called yet has one circuit, which is closed. */
const circuitsOf = (breaker: Breaker) =>
  Effect.gen(function*() {
    const known = yield* breaker.snapshot
    const snapshots = known.length === 0 ? [yield* breaker.metrics()] : known
    return snapshots.map((snapshot) => toCircuit(breaker, snapshot))
  })

const toCircuit = ({ name }: Breaker, snapshot: Snapshot): typeof Circuit.Type => ({
  name,
  key: snapshot.key,
  state: snapshot.state,
  retry_after_ms: Number.isFinite(snapshot.retryAfter) ? snapshot.retryAfter : null,
  openings: snapshot.openings,
  in_flight: snapshot.inFlight,
  probing: snapshot.probing,
  admitted: snapshot.admitted,
  rules: snapshot.rules
})
