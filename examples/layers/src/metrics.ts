/**
 * Every decision of the policies in one place, for Prometheus. Nothing is wired by hand: the layer hears what they say.
 *
 *     node src/metrics.ts
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { CircuitBreaker, Failure, Metrics, Retry } from "effect-resilience"
import { HttpClient, HttpRouter } from "effect/http"

class Breakers extends CircuitBreaker.Service<Breakers>()("app/Breakers", {
  forecast: { trip: CircuitBreaker.consecutive(2) }
}) {}

/** A metric of one's own beside those of the catalogue. */
const forecasts = Metrics.counter("forecasts_total", { labels: ["kind"], values: { kind: ["good", "none"] } })

let calls = 0
const forecast = Effect.suspend(() =>
  ++calls % 3 === 0 ? Effect.succeed("rain") : Effect.fail({ [Failure.symbol]: () => Failure.fromHttpStatus(500) })
).pipe(
  Retry.retry(Retry.backoff({ base: "1 millis", times: 1 }), { name: "forecast" }),
  Breakers.protect("forecast"),
  Effect.matchEffect({
    onSuccess: () => forecasts.add(1, { kind: "good" }),
    onFailure: () => forecasts.add(1, { kind: "none" })
  })
)

const Server = HttpRouter.serve(Metrics.layerHttp(), { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const program = Effect.gen(function*() {
  yield* Effect.repeat(forecast, { times: 9 })
  const page = yield* (yield* HttpClient.get("/metrics")).text
  const interesting = /^(forecasts_total|resilience_(retry_calls|circuit_breaker_(calls|transitions))_total)\{.* [1-9]/
  for (const line of page.split("\n")) if (interesting.test(line)) yield* Console.log(line)
})

const Policies = Layer.provide(Breakers.layer, CircuitBreaker.layerStoreMemory)
NodeRuntime.runMain(Effect.provide(program, Layer.mergeAll(Policies, Server).pipe(Layer.provideMerge(Metrics.layer))))
