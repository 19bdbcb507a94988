/**
 * A dependency falls ill. After three failures nobody waits for it any more; when it is well again a probe finds out.
 *
 *     node src/circuit-breaker.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { CircuitBreaker, Failure } from "effect-resilience"

/** Breakers by name. A name that is not in here does not compile. */
class Breakers extends CircuitBreaker.Service<Breakers>()("app/Breakers", {
  weather: { trip: CircuitBreaker.consecutive(3), openFor: "200 millis" }
}) {}

let healthy = false
let asked = 0
const askWeather = Effect.suspend(() => {
  asked++
  return healthy ? Effect.succeed("sunny") : Effect.fail({ [Failure.symbol]: () => Failure.fromHttpStatus(503) })
})

const weather = askWeather.pipe(
  Breakers.protect("weather"),
  Effect.catchTag("CircuitOpen", ({ name }) => Effect.succeed(`${name} is left alone`)),
  Effect.catch(() => Effect.succeed("the weather service failed")),
  Effect.flatMap(Console.log)
)

const program = Effect.gen(function*() {
  yield* Effect.repeat(weather, { times: 4 })
  yield* Console.log(`5 calls, and the service was asked ${asked} times`)

  healthy = true
  yield* Effect.sleep("250 millis")
  yield* weather
  const { weather: breaker } = yield* Breakers
  yield* Console.log(`the circuit is ${yield* breaker.state()}`)
})

NodeRuntime.runMain(Effect.provide(program, Layer.provide(Breakers.layer, CircuitBreaker.layerStoreMemory)))
