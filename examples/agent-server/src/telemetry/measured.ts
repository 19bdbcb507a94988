/** The metrics of the server: of its policies, its requests, its process, its database, what is left of its budgets. */
import * as NodeMetrics from "@effect-resilience/node/NodeMetrics"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as LanguageModelMetrics from "effect-resilience/LanguageModelMetrics"
import * as Metrics from "effect-resilience/Metrics"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as StoreMetrics from "effect-resilience/StoreMetrics"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as SqlClient from "effect/sql/SqlClient"
import { costUsd, type Known } from "../agents/prices.ts"
import { FailedTurns, queueName } from "../letters/FailedTurns.ts"
import { Policies } from "../policies.ts"
import * as Database from "../sessions/database.ts"

/** What is there whatever happens. */
export const layer = (settings: { readonly databaseUrl?: unknown }): Layer.Layer<never> =>
  Layer.mergeAll(
    Metrics.layer,
    HttpMetrics.layer,
    NodeMetrics.layer,
    // A SQLite file has no pool: there it stays at 0.
    Metrics.layerDeclare(Metrics.instrument("db_client_connection_count")),
    StoreMetrics.layerSql({ system: settings.databaseUrl === undefined ? "sqlite" : "postgresql" })
  )

/** Shows how busy PostgreSQL's pool is, as often as the database's health is looked at when it starts. */
export const connections = (
  settings: { readonly databaseUrl?: unknown }
): Layer.Layer<never, never, SqlClient.SqlClient | Policies> =>
  settings.databaseUrl === undefined
    ? Layer.empty
    : Layer.unwrap(Effect.map(
      Policies.use(({ now }) => now),
      ({ health }) => StoreMetrics.layerConnections(Database.connections, { every: Schedule.spaced(health.interval) })
    ))

/** `/metrics`, for Prometheus. */
export const route = Metrics.layerHttp()

/** A model that nobody has asked yet is shown all the same. */
export const declareModel = LanguageModelMetrics.declare

/** Counts what a model is asked, and what that costs by the prices that are in force. */
export const languageModel = (options: {
  readonly provider: string
  readonly model: string
}): Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel | Policies> =>
  Layer.unwrap(Effect.gen(function*() {
    const { whenever } = yield* Policies
    let known: Known = {}
    yield* whenever(({ models }) => Effect.sync(() => (known = models)))
    return LanguageModelMetrics.layer({
      ...options,
      price: (model, { input, output }) => costUsd(known, model, { prompt: input, completion: output }) ?? undefined
    })
  }))

/** A speech service that nobody has asked yet is shown all the same. */
export const declareSpeech = LanguageModelMetrics.declareSpeech

/** Counts what a speech service is asked. */
export const speech = LanguageModelMetrics.speech

/** Shows how full the queue of dead letters is. */
export const letters = Layer.unwrap(
  Effect.map(FailedTurns, (queue) => StoreMetrics.layerDeadLetters(queueName, queue))
)

/** Shows what is left of the money that each provider may cost a day. */
export const budgets: Layer.Layer<never, never, RateLimiter.RateLimiter | Policies> = Layer.effectDiscard(
  Effect.gen(function*() {
    const limiter = yield* RateLimiter.RateLimiter
    const { now } = yield* Policies
    const look = Effect.gen(function*() {
      const { providers } = (yield* now).limits
      for (const [key, { policy }] of Object.entries(providers)) {
        const decision = yield* limiter.peek({ policy, key })
        if (decision._tag === "StoreUnavailable") continue
        const money = decision.rules.find(({ unit }) => unit === "cost")
        if (money !== undefined) yield* LanguageModelMetrics.budget(key, money.remaining)
      }
    })
    yield* look
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("5 seconds")))
  })
)
