import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import type * as HealthProbes from "effect-resilience/HealthProbes"
import * as AdminApi from "effect-resilience/http/AdminApi"
import type * as AdminKey from "effect-resilience/http/AdminKey"
import * as MonitoringApi from "effect-resilience/http/MonitoringApi"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import type * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

class Mails extends DeadLetterQueue.Service<Mails>()("test/Mails", {
  name: "mails",
  schema: Schema.Struct({ to: Schema.String })
}) {}

class Mailer extends Context.Service<Mailer, { readonly send: (to: string) => Effect.Effect<void, "full"> }>()(
  "test/Mailer"
) {}

class Audit extends HttpApiMiddleware.Service<Audit>()("test/Audit") {}

class Api extends HttpApi.make("app")
  .add(HttpApiGroup.make("others"))
  .add(AdminApi.DeadLetters, AdminApi.CircuitBreakers, AdminApi.RateLimits, MonitoringApi.Monitoring)
{}

const Prefixed = HttpApi.make("prefixed").add(AdminApi.DeadLetters).prefix("/v2").middleware(Audit)

declare const breakers: ReadonlyArray<CircuitBreaker.Breaker>
declare const policies: Effect.Effect<ReadonlyArray<RateLimiter.Policy>, never, Mailer>

const send = ({ to }: { readonly to: string }) => Effect.flatMap(Mailer, (mailer) => mailer.send(to))

describe("the layers of the groups", () => {
  test("need what is behind them, and the operator's key", () => {
    expect(AdminApi.layerDeadLetters(Api, { queue: Mails, handler: send })).type.toBe<
      Layer.Layer<HttpApiGroup.Service<"app", "deadLetters">, never, Mails | Mailer | AdminKey.AdminKey>
    >()
    expect(AdminApi.layerCircuitBreakers(Api, { breakers })).type.toBe<
      Layer.Layer<HttpApiGroup.Service<"app", "circuitBreakers">, never, AdminKey.AdminKey>
    >()
    expect(AdminApi.layerRateLimits(Api, { policies })).type.toBe<
      Layer.Layer<
        HttpApiGroup.Service<"app", "rateLimits">,
        never,
        RateLimiter.RateLimiter | Mailer | AdminKey.AdminKey
      >
    >()
    expect(MonitoringApi.layer(Api)).type.toBe<
      Layer.Layer<
        HttpApiGroup.Service<"app", "monitoring">,
        never,
        HealthProbes.HealthProbes | SessionMetrics.SessionMetrics | AdminKey.AdminKey
      >
    >()
  })

  test("take an API that did more to its groups, and need its middleware", () => {
    expect(AdminApi.layerDeadLetters(Prefixed, { queue: Mails, handler: () => Effect.void })).type.toBe<
      Layer.Layer<HttpApiGroup.Service<"prefixed", "deadLetters">, never, Mails | AdminKey.AdminKey | Audit>
    >()
  })

  test("take no API without the group, or with another one under its name", () => {
    const other = HttpApi.make("other").add(HttpApiGroup.make("deadLetters"))
    expect(AdminApi.layerDeadLetters).type.not.toBeCallableWith(Prefixed.groups.deadLetters, {
      queue: Mails,
      handler: send
    })
    expect(AdminApi.layerDeadLetters).type.not.toBeCallableWith(other, { queue: Mails, handler: send })
    expect(MonitoringApi.layer).type.not.toBeCallableWith(Prefixed)
  })

  test("hand over payloads of the queue's own type", () => {
    expect(AdminApi.layerDeadLetters).type.not.toBeCallableWith(Api, {
      queue: Mails,
      handler: (payload: { readonly order: number }) => Effect.succeed(payload)
    })
  })
})
