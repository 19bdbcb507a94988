/** `/admin/circuit-breakers`: what the breakers remember, and the operator's word against theirs. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AdminKey } from "./AdminKey.ts"
import * as Problems from "./Problems.ts"

/** A circuit as it is now. */
const Circuit = Schema.Struct({
  name: Schema.String.annotate({ description: "The breaker" }),
  key: Schema.String.annotate({ description: "Which of its circuits" }),
  state: Schema.Literals(["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"]),
  retry_after_ms: Schema.Finite.annotate({ description: "When a call may be let through; 0 for now" }),
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

const command = <const Name extends "open" | "close" | "release" | "reset">(name: Name, summary: string) =>
  HttpApiEndpoint.post(name, `/admin/circuit-breakers/:name/${name}`, {
    params: { name: Schema.String },
    query: { key: Schema.optionalKey(Key).annotate({ description: "The circuit's key; \"default\" without it" }) },
    success: Circuit,
    error: [Problems.InvalidRequest, Problems.CircuitBreakerNotFound]
  }).annotateMerge(OpenApi.annotations({ summary }))

/** The circuit breakers, for the server's operator. */
export class CircuitBreakersApi extends HttpApiGroup.make("circuitBreakers").add(
  HttpApiEndpoint.get("list", "/admin/circuit-breakers", {
    success: Schema.Struct({ circuit_breakers: Schema.Array(Circuit) })
  }).annotateMerge(OpenApi.annotations({ summary: "List all circuits" })),
  command("open", "Let no call through until the circuit is released or reset"),
  command("close", "Let every call through, uncounted, until the circuit is released or reset"),
  command("release", "Let the circuit decide again: one forced open probes, one forced closed is closed"),
  command("reset", "Close the circuit and forget what it remembers")
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Circuit breakers" })) {}
