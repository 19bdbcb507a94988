import * as HealthProbes from "effect-resilience/HealthProbes"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Database extends Context.Service<Database, { readonly ping: Effect.Effect<void, Error> }>()("Database") {}
class Router extends Context.Service<Router, { readonly use: (side: string) => Effect.Effect<void> }>()("Router") {}

const ping = Database.use((database) => database.ping)
const database = HealthProbes.check({ name: "database", probe: ping, critical: true })

describe("HealthProbes.check", () => {
  test("asks for what its probe, its hook and its Schedule need", () => {
    expect(database).type.toBe<HealthProbes.Check<Database>>()
    expect(HealthProbes.check({ name: "a", probe: Effect.void })).type.toBe<HealthProbes.Check<never>>()
    const both = HealthProbes.check<Database | Router>({
      name: "a",
      probe: ping,
      failover: ({ to }) => Router.use((router) => router.use(to))
    })
    expect(both).type.toBe<HealthProbes.Check<Database | Router>>()
  })

  test("a probe answers with nothing or with JSON", () => {
    expect(HealthProbes.check).type.toBeCallableWith({ name: "a", probe: Effect.succeed({ lag: 3 }) })
    expect(HealthProbes.check).type.not.toBeCallableWith({ name: "a", probe: Effect.succeed(new Map()) })
    expect(HealthProbes.check).type.not.toBeCallableWith({ name: "a", probe: Effect.succeed(true) })
  })

  test("a Schedule is told the state, and may not fail", () => {
    expect(HealthProbes.check).type.toBeCallableWith({
      name: "a",
      probe: Effect.void,
      interval: Schedule.spaced("1 second").pipe(Schedule.setInputType<HealthProbes.State>())
    })
    expect(HealthProbes.check).type.not.toBeCallableWith({
      name: "a",
      probe: Effect.void,
      interval: Schedule.spaced("1 second").pipe(Schedule.setInputType<number>())
    })
  })
})

describe("the layer", () => {
  const heart = HealthProbes.heartbeat("worker", { within: "30 seconds" })
  const plugins = HealthProbes.condition("plugins")

  test("needs what its checks need", () => {
    expect(HealthProbes.layer([database, heart, plugins])).type.toBe<
      Layer.Layer<HealthProbes.HealthProbes, never, Database>
    >()
    expect(HealthProbes.layer([heart, plugins])).type.toBe<Layer.Layer<HealthProbes.HealthProbes>>()
    expect(HealthProbes.layerConfig([database], {})).type.toBe<
      Layer.Layer<HealthProbes.HealthProbes, Config.ConfigError, Database>
    >()
    expect(HealthProbes.make([database])).type.toBe<
      Effect.Effect<HealthProbes.HealthProbes["Service"], never, Database | Scope.Scope>
    >()
  })

  test("hearts and conditions need the service, and nothing else", () => {
    expect(heart.beat).type.toBe<Effect.Effect<void, never, HealthProbes.HealthProbes>>()
    expect(plugins.meet).type.toBe<Effect.Effect<void, never, HealthProbes.HealthProbes>>()
    expect(HealthProbes.reset("database")).type.toBe<
      Effect.Effect<HealthProbes.CheckReport, HealthProbes.CheckNotFound, HealthProbes.HealthProbes>
    >()
  })
})
