/**
 * The agent server, put together. Read it from the bottom up: what a request passes through, what a turn consists of, and
 * what both stand on.
 */
import * as NodeProfiler from "@effect-resilience/node/NodeProfiler"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as OperatorKey from "effect-resilience/http/AdminKey"
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as MonitoringApi from "effect-resilience/http/MonitoringApi"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Replies from "./agents/replies.ts"
import * as Turns from "./agents/Turns.ts"
import { Api } from "./api/Api.ts"
import * as AgentsHandlers from "./api/handlers/AgentsHandlers.ts"
import * as ChatHandlers from "./api/handlers/ChatHandlers.ts"
import * as CircuitBreakersHandlers from "./api/handlers/CircuitBreakersHandlers.ts"
import * as FallbackChainsHandlers from "./api/handlers/FallbackChainsHandlers.ts"
import * as HealthHandlers from "./api/handlers/HealthHandlers.ts"
import * as PoliciesHandlers from "./api/handlers/PoliciesHandlers.ts"
import * as ProfileHandlers from "./api/handlers/ProfileHandlers.ts"
import * as RateLimitsHandlers from "./api/handlers/RateLimitsHandlers.ts"
import * as SessionsHandlers from "./api/handlers/SessionsHandlers.ts"
import * as SignalsHandlers from "./api/handlers/SignalsHandlers.ts"
import * as SimHandlers from "./api/handlers/SimHandlers.ts"
import * as VoiceHandlers from "./api/handlers/VoiceHandlers.ts"
import * as Config from "./config.ts"
import * as Availability from "./health/Availability.ts"
import * as Health from "./health/Health.ts"
import * as Providers from "./health/providers.ts"
import * as Routes from "./http/Routes.ts"
import { serve } from "./http/serve.ts"
import * as Server from "./http/Server.ts"
import * as AutoRedrive from "./letters/autoRedrive.ts"
import * as FailedTurns from "./letters/FailedTurns.ts"
import * as Limits from "./limits/checks.ts"
import * as Spending from "./limits/Spending.ts"
import * as MeasuresFile from "./measures/file.ts"
import * as ConsolePage from "./pages/ConsolePage.ts"
import * as ProblemPages from "./pages/ProblemPages.ts"
import * as Policies from "./policies/layer.ts"
import * as Models from "./providers/Models.ts"
import * as Database from "./sessions/database.ts"
import * as Requests from "./sessions/Requests.ts"
import * as AdminKey from "./startup/AdminKey.ts"
import { banner } from "./startup/banner.ts"
import { launch } from "./startup/launch.ts"
import * as SessionStores from "./stores/sessions.ts"
import * as SharedStores from "./stores/shared.ts"
import * as Measured from "./telemetry/measured.ts"
import * as Telemetry from "./telemetry/Telemetry.ts"
import * as Speech from "./voice/Speech.ts"
import * as VoiceTurns from "./voice/VoiceTurns.ts"

const agentServer = Layer.unwrap(Effect.gen(function*() {
  const settings = yield* Config.Settings
  const base = yield* Effect.context<never>()
  const adminKey = AdminKey.orMade(settings.adminKey)

  const policies = Policies.layer(settings)

  const models = Models.layer(settings.provider, settings)

  const database = Database.layer(settings)

  const sessions = Layer.provideMerge(Requests.layer, SessionStores.layer(settings))

  const letters = FailedTurns.layer(settings.letterKeys)

  const health = Layer.unwrap(Effect.gen(function*() {
    const dependencies = [
      ...yield* Providers.dependencies(settings),
      yield* Database.dependency(settings),
      ...yield* SharedStores.dependencies(settings.redisUrl)
    ]
    return Health.layer(dependencies)
  }))

  const turns = Turns.layer(settings)

  const voice = Layer.provideMerge(VoiceTurns.layer(settings), Speech.layer(settings.speech))

  const api = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide([
      ChatHandlers.layer({ ...settings, base }),
      VoiceHandlers.layer(settings),
      AgentsHandlers.layer,
      SessionsHandlers.layer,
      HealthHandlers.layer,
      MonitoringApi.layer(Api, { details: OperatorKey.isOperator(adminKey.key) }),
      CircuitBreakersHandlers.layer,
      FallbackChainsHandlers.layer,
      RateLimitsHandlers.layer,
      PoliciesHandlers.layer(settings.policiesFile),
      AdminApi.layerDeadLetters(Api, { queue: FailedTurns.FailedTurns, handler: Turns.complete }),
      ProfileHandlers.layer,
      SignalsHandlers.layer,
      SimHandlers.layer
    ]),
    Layer.provide([
      OperatorKey.layer(adminKey.key),
      Limits.layer({ hasKeys: settings.apiKeys.length > 0, base }),
      Layer.provide(
        ApiKey.layerAuthentication({ anonymous: true }),
        ApiKey.layerKeys([...settings.apiKeys, AdminKey.asCaller(adminKey)])
      )
    ])
  )

  const pages = Layer.mergeAll(
    HttpApiScalar.layer(Api, { path: "/docs" }),
    ConsolePage.layer(settings),
    ProblemPages.layer,
    Measured.route
  )

  const table = Routes.make([
    ...Routes.fromOpenApi(OpenApi.fromApi(Api)),
    ...ConsolePage.routes,
    ...ProblemPages.routes,
    ...["/docs", "/metrics", "/openapi.json"].map((path) => ({ path, methods: ["GET"] }) as Routes.Route)
  ])

  const greeting = Layer.effectDiscard(
    Effect.flatMap(
      HttpServer.HttpServer,
      (server) =>
        Effect.sync(() =>
          process.stdout.write(banner({ ...settings, ...adminKey, origin: HttpServer.formatAddress(server.address) }))
        )
    )
  )

  const gauges = Layer.mergeAll(Measured.budgets, Measured.letters, Measured.connections(settings))

  return Layer.mergeAll(greeting, AutoRedrive.layer, gauges).pipe(
    Layer.provide(serve(Layer.merge(api, pages), { table, ...settings, base })),
    Layer.provide(Server.layer(settings)),
    Layer.provide(NodeProfiler.layer),
    Layer.provide(health),
    Layer.provide(voice),
    Layer.provide(turns),
    Layer.provide(MeasuresFile.layer(settings)),
    Layer.provide(Replies.layer),
    Layer.provide(Spending.layer),
    Layer.provide([letters, sessions]),
    Layer.provide(database),
    Layer.provide(models),
    Layer.provide(policies),
    Layer.provide(RateLimiter.layer),
    Layer.provide(SharedStores.layer(settings.redisUrl)),
    Layer.provide(Availability.layer),
    Layer.provide(NodeHttpClient.layerUndici)
  )
}))

launch(
  agentServer,
  Telemetry.layer.pipe(Layer.provideMerge(NodeServices.layer), Layer.provideMerge(Config.layer))
)
