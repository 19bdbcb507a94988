/**
 * Three requests a second for each user, and a thousand tokens a minute for all of them together: both have room, or
 * nothing is taken of either.
 *
 *     node src/rate-limiter.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { RateLimiter } from "effect-resilience"

class Limits extends RateLimiter.Service<Limits>()("app/Limits", {
  perUser: [RateLimiter.perSecond(3)],
  model: [RateLimiter.perMinute(1_000, { name: "tokens", unit: "tokens" })]
}) {}

const ask = (user: string, tokens: number) =>
  Effect.succeed(`${user} is answered`).pipe(
    Limits.limit([
      { policy: "perUser", key: user },
      { policy: "model", key: "everybody", cost: tokens }
    ]),
    Effect.catchTag("RateLimited", ({ policy, remaining }) =>
      Effect.succeed(`${user} is over the limit ${policy}, which has ${remaining} left`)),
    Effect.catchTag("RateLimiterUnavailable", () =>
      Effect.succeed("the limiter's store does not answer")),
    Effect.flatMap(Console.log)
  )

const program = Effect.gen(function*() {
  yield* Effect.repeat(ask("ann", 100), { times: 3 })
  yield* ask("bob", 800)
  yield* ask("bob", 600)
})

NodeRuntime.runMain(Effect.provide(program, Layer.provide(Limits.layer, RateLimiter.layerStoreMemory())))
