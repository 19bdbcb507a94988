/**
 * Every metric of the catalogue, provoked by what feeds it in life. A new entry without a provocation does not compile, and one
 * whose provocation moves nothing fails.
 */
import * as NodeMetrics from "@effect-resilience/node/NodeMetrics"
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Deadline from "effect-resilience/Deadline"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Hedge from "effect-resilience/Hedge"
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as LanguageModelMetrics from "effect-resilience/LanguageModelMetrics"
import * as Logging from "effect-resilience/Logging"
import * as Metrics from "effect-resilience/Metrics"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Signal from "effect-resilience/Signal"
import * as StoreMetrics from "effect-resilience/StoreMetrics"
import * as Tracing from "effect-resilience/Tracing"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { offerMany, orders } from "./support/deadLetters.ts"
import { parse } from "./support/exposition.ts"
import { fault } from "./support/faults.ts"
import { scriptedModel } from "./support/scriptedModel.ts"

type Samples = ReadonlyMap<string, number>
/** Those of the process are Node's: they have values whatever happens. */
type Name = Exclude<keyof typeof Metrics.catalogue, `process_${string}` | `nodejs_${string}`>
type Provocation = Effect.Effect<Samples, unknown, Scope.Scope>

const look: Effect.Effect<Samples> = Effect.map(Metrics.format(), (text) => parse(text).samples)

/** What is to be seen when it is over. */
const after = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(Effect.exit(self), look)

/** What is to be seen while it runs, a second after it began. */
const during = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const running = yield* Effect.forkChild(self, { startImmediately: true })
    yield* TestClock.adjust("1 second")
    const seen = yield* look
    yield* Fiber.interrupt(running)
    return seen
  })

/** What is to be seen when it has had all the time that it wants. */
const inTime = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const running = yield* Effect.forkChild(Effect.exit(self), { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(running)
    return yield* look
  })

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

type Served = HttpServerRequest.HttpServerRequest | Scope.Scope
type App<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>

/** Serves one request to its end. */
const serve = (
  app: App<Served>,
  init: RequestInit & { readonly abort?: boolean } = {}
) =>
  Effect.flatMap(Effect.context<never>(), (context) =>
    Effect.promise(async () => {
      const controller = new AbortController()
      const reply = HttpEffect.toWebHandlerWith<never, Served>(context)(app)(
        new Request("http://app.test/things/7", { ...init, signal: controller.signal })
      )
      // Nobody replies to a client that has gone.
      if (init.abort === true) controller.abort()
      else await (await reply).text()
    }))

const measured = HttpMetrics.middleware({ route: () => "/things/:id" })
const served = after(serve(measured(Effect.succeed(HttpServerResponse.text("hello")))))

const answering = HttpClient.make((request) =>
  Effect.succeed(HttpClientResponse.fromWeb(request, new Response("fine")))
)

const noKey = ApiKey.middleware()(Effect.succeed(HttpServerResponse.empty())).pipe(
  Effect.provide(ApiKey.layerKeys([]))
)

// -----------------------------------------------------------------------------
// Language models
// -----------------------------------------------------------------------------

const asked = (options: Partial<LanguageModelMetrics.Options> = {}) => {
  const model = LanguageModelMetrics.layer({ provider: "p", model: "m", price: () => 1, ...options }).pipe(
    Layer.provide(scriptedModel(["one", "two"], () => ({ latency: 10, every: 10 })).layer)
  )
  return inTime(Effect.provide(Stream.runDrain(LanguageModel.streamText({ prompt: "why?" })), model))
}

const spoken = (kind: "stt" | "tts") =>
  after(LanguageModelMetrics.speech(kind, { provider: "p", model: "m" })(Effect.void))

// -----------------------------------------------------------------------------
// Policies
// -----------------------------------------------------------------------------

const flaky = () => {
  let calls = 0
  return Effect.suspend(() => ++calls === 1 ? Effect.fail(fault("Transient")) : Effect.void)
}

const piped = inTime(
  Effect.suspend(() => Tracing.attempt(Effect.delay(flaky(), "1 second")).pipe(Tracing.pipeline("p")))
)

const retried = inTime(Effect.suspend(() => Retry.retry(flaky(), Retry.backoff({ base: "1 second" }), { name: "r" })))

const spentBudget = inTime(
  Retry.retry(Effect.fail(fault("Transient")), Retry.withBudget(Retry.backoff({ base: "1 second" }))).pipe(
    Effect.provide(RetryBudget.layerTokens({ capacity: 1, retryCost: 5 }))
  )
)

/** Two failures of two, each of them slow: the circuit opens after `minimumCalls` of them. */
const failing = (minimumCalls: number) =>
  inTime(
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "b",
        trip: CircuitBreaker.anyOf(
          CircuitBreaker.failureRate({ window: CircuitBreaker.calls(10), minimumCalls }),
          CircuitBreaker.slowCallRate({
            window: CircuitBreaker.calls(10),
            minimumCalls,
            threshold: 0.5,
            slowerThan: "1 second"
          })
        )
      })
      const bad = Effect.exit(breaker.protect(Effect.delay(Effect.fail("down"), "5 seconds")))
      yield* bad
      yield* bad
    }).pipe(Effect.provide(CircuitBreaker.layerStoreMemory))
  )

/** One runs, one waits, one finds no place. */
const crowded = during(Effect.gen(function*() {
  const bulkhead = yield* Bulkhead.make({ name: "b", limit: 1, queue: 1 })
  yield* Effect.all([Effect.never, Effect.never, Effect.void].map((call) => Effect.exit(bulkhead.run(call))), {
    concurrency: 3
  })
}))

/** One waits until another is done. */
const waited = inTime(Effect.gen(function*() {
  const bulkhead = yield* Bulkhead.make({ name: "b", limit: 1, queue: 1 })
  const call = bulkhead.run(Effect.sleep("2 seconds"))
  yield* Effect.all([call, call], { concurrency: 2 })
}))

const limited = during(Effect.gen(function*() {
  const limit = yield* ConcurrencyLimit.make({
    name: "l",
    algorithm: ConcurrencyLimit.aimd(),
    initial: 1,
    min: 1,
    max: 1
  })
  yield* Effect.all([Effect.exit(limit.run(Effect.never)), Effect.exit(limit.run(Effect.void))], { concurrency: 2 })
}))

const shed = after(Effect.gen(function*() {
  const shedder = yield* ConcurrencyLimit.shedder({ name: "s" })
  for (let call = 0; call < 500; call++) yield* Effect.exit(shedder.run(Effect.fail(fault("Overloaded"))))
}))

const late = inTime(Deadline.within(Effect.never, "1 second"))

const perMinute = {
  policy: RateLimiter.policy("api", [RateLimiter.slidingWindow({ limit: 1, window: "10 seconds" })]),
  key: "k"
}

/** The second of two has to wait. */
const twoCalls = Effect.gen(function*() {
  const limiter = yield* RateLimiter.RateLimiter
  yield* limiter.wait(perMinute)
  yield* limiter.wait(perMinute)
}).pipe(Effect.provide(Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())))

const fellBack = after(
  FallbackChain.effects("c", [["first", Effect.fail(fault("Timeout"))], ["second", Effect.succeed("sorry")]])
)

const hedged = (maxExtraLoad: number) =>
  inTime(Hedge.run(Effect.sleep("5 seconds"), { name: "h", delay: "1 second", maxExtraLoad }))

const letters = (size: number) =>
  Effect.gen(function*() {
    const queue = yield* orders({ retention: { size } })
    yield* offerMany(queue, 3)
    yield* TestClock.adjust("1 minute")
    yield* Stream.runDrain(queue.redrive({}, () => Effect.fail("still none")))
    yield* Layer.build(StoreMetrics.layerDeadLetters("orders", queue))
    return yield* look
  }).pipe(Effect.provide(DeadLetterQueue.layerStoreMemory))

// -----------------------------------------------------------------------------
// Operations
// -----------------------------------------------------------------------------

const healthy = Effect.gen(function*() {
  const check = HealthProbes.check({ name: "db", probe: Effect.sleep("1 second"), critical: true })
  yield* Layer.build(HealthProbes.layer([check]))
  yield* TestClock.adjust("2 seconds")
  return yield* look
})

const stated = after(
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`SELECT 1`
  }).pipe(
    Effect.provide(
      Layer.merge(SqliteClient.layer({ filename: ":memory:" }), StoreMetrics.layerSql({ system: "sqlite" }))
    )
  )
)

const pooled = Effect.andThen(Layer.build(StoreMetrics.layerConnections(Effect.succeed({ idle: 1, used: 2 }))), look)

const cached = after(
  Effect.gen(function*() {
    const cache = yield* ResponseCache.make({
      name: "replies",
      key: (request: string) => Effect.succeed(request),
      schema: Schema.String,
      ttl: "1 minute",
      capacity: 10
    })
    yield* cache.through(() => Effect.succeed("a"))("q")
  }).pipe(Effect.provide(ResponseCache.layerStoreMemory))
)

const talked = (run: (session: SessionMetrics.Session) => Effect.Effect<unknown, unknown>) =>
  inTime(
    Effect.scoped(Effect.flatMap(SessionMetrics.start("s"), run)).pipe(Effect.provide(SessionMetrics.layer()))
  )

const stage = talked((session) => session.stage("llm")(Effect.sleep("100 millis")))

// -----------------------------------------------------------------------------
// Telemetry itself
// -----------------------------------------------------------------------------

/** A trace whose first span is done, and what its root does then. */
const traced = (after: Effect.Effect<void>) =>
  Effect.andThen(Effect.withSpan(Effect.void, "inside"), after).pipe(
    Effect.withSpan("root"),
    Effect.provide(Tracing.layer({ sampler: Tracing.sampler.never })),
    // One that records: for the other, nothing waits.
    Effect.provideService(Tracer.Tracer, Tracer.make({ span: (span) => new Tracer.NativeSpan(span) }))
  )

const logged = (capacity: number, lines: number) =>
  inTime(
    Effect.replicateEffect(Effect.logDebug("line"), lines).pipe(
      Effect.provide(
        Logging.layerJson({ service: "s", version: "1", capacity, sample: lines > 1 ? 1 : 0, write: () => Effect.void })
      ),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
  )

const small = Metrics.counter("small_total", { labels: ["a"], limit: 1 })

const provocations: { readonly [N in Name]: Provocation } = {
  http_server_request_duration_seconds: served,
  http_requests_total: served,
  http_server_active_requests: Effect.suspend(() => {
    let seen: Samples = new Map()
    const app = Effect.map(look, (samples) => {
      seen = samples
      return HttpServerResponse.empty()
    })
    return Effect.map(serve(measured(app)), () => seen)
  }),
  http_server_request_body_size_bytes: after(
    serve(measured(Effect.succeed(HttpServerResponse.empty())), {
      method: "POST",
      body: "hello",
      headers: { "content-length": "5" }
    })
  ),
  http_server_response_body_size_bytes: served,
  http_server_time_to_first_byte_seconds: served,
  http_server_client_aborts_total: after(serve(measured(Effect.interruptible(Effect.never)), { abort: true })),
  http_client_request_duration_seconds: after(HttpMetrics.measure(answering).get("http://api.test/")),
  middleware_duration_seconds: after(
    serve(HttpMetrics.timed("nothing", (app: App<never>) => app)(Effect.succeed(HttpServerResponse.empty())))
  ),
  auth_failures_total: after(serve(noKey)),
  load_shed_total: shed,
  gen_ai_client_token_usage: asked(),
  gen_ai_client_operation_duration_seconds: asked(),
  gen_ai_client_operation_time_to_first_chunk_seconds: asked(),
  gen_ai_client_operation_time_per_output_chunk_seconds: asked(),
  llm_requests_total: asked(),
  stt_requests_total: spoken("stt"),
  tts_requests_total: spoken("tts"),
  llm_tokens_total: asked(),
  llm_cost_usd_total: asked(),
  llm_cost_unpriced_calls_total: asked({ price: () => undefined }),
  llm_budget_remaining_usd: after(LanguageModelMetrics.budget("day", 9.5)),
  resilience_pipeline_duration_seconds: piped,
  resilience_attempt_duration_seconds: piped,
  resilience_retry_calls_total: retried,
  resilience_retry_attempts_total: retried,
  resilience_retry_backoff_seconds: retried,
  resilience_retry_budget_exhausted_total: spentBudget,
  resilience_circuit_breaker_state: failing(2),
  resilience_circuit_breaker_transitions_total: failing(2),
  resilience_circuit_breaker_calls_total: failing(2),
  resilience_circuit_breaker_failure_ratio: failing(10),
  resilience_circuit_breaker_slow_call_ratio: failing(10),
  resilience_bulkhead_active: crowded,
  resilience_bulkhead_limit: crowded,
  resilience_bulkhead_queue_depth: crowded,
  resilience_bulkhead_queue_wait_seconds: waited,
  resilience_bulkhead_rejected_total: crowded,
  resilience_concurrency_limit: limited,
  resilience_concurrency_limit_active: limited,
  resilience_concurrency_limit_rejected_total: limited,
  resilience_timeouts_total: late,
  resilience_rate_limiter_decisions_total: inTime(twoCalls),
  resilience_rate_limiter_waiting: during(twoCalls),
  resilience_rate_limiter_wait_seconds: inTime(twoCalls),
  resilience_fallbacks_total: fellBack,
  resilience_fallback_served_total: fellBack,
  resilience_hedges_total: hedged(1),
  resilience_hedges_refused_total: hedged(0.5),
  dlq_messages_total: letters(10),
  dlq_depth: letters(10),
  dlq_oldest_age_seconds: letters(10),
  dlq_redrives_total: letters(10),
  dlq_evicted_total: letters(1),
  health_check_status: healthy,
  health_check_duration_seconds: healthy,
  health_ready: healthy,
  db_client_operation_duration_seconds: stated,
  db_client_connection_count: pooled,
  cache_requests_total: cached,
  session_stage_duration_seconds: stage,
  session_stage_average_seconds: stage,
  session_stage_target_seconds: stage,
  session_stage_target_met: stage,
  sessions_active: during(
    Effect.scoped(Effect.andThen(SessionMetrics.start("s"), Effect.never)).pipe(Effect.provide(SessionMetrics.layer()))
  ),
  sessions_total: stage,
  session_errors_total: talked((session) => session.stage("llm")(Effect.fail("down"))),
  session_barge_ins_total: talked((session) => session.bargeIn),
  telemetry_spans_total: inTime(traced(Effect.void)),
  telemetry_queue_size: during(traced(Effect.never)),
  logs_dropped_total: logged(1, 5),
  logs_unsampled_total: logged(10, 1),
  metrics_series: look,
  metrics_cardinality_overflow_total: after(Effect.andThen(small.add(1, { a: "1" }), small.add(1, { a: "2" }))),
  metrics_invalid_updates_total: after(small.add(NaN, { a: "1" })),
  signals_listener_errors_total: after(
    Signal.emit({ _tag: "DeadlinePassed", scope: "total", budget: Duration.zero, elapsed: Duration.zero }).pipe(
      Effect.provide(Signal.layer(() => {
        throw new Error("of its own")
      })),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )
}

/** A counter or gauge that is not 0, or a histogram that has counted something. */
const isProvoked = (name: Name, samples: Samples): boolean => {
  const series = Metrics.catalogue[name].type === "histogram" ? `${name}_count{` : `${name}{`
  return [...samples].some(([key, value]) => key.startsWith(series) && value !== 0)
}

describe("the catalogue", () => {
  it.effect("has every metric of the process, read by NodeMetrics", () =>
    Effect.gen(function*() {
      const names = Object.keys(Metrics.catalogue).filter((name) => /^(process|nodejs)_/.test(name))
      const seen = [...(yield* look).keys()]
      for (const name of names) {
        assert.isTrue(seen.some((key) => key.startsWith(`${name}{`) || key.startsWith(`${name}_count{`)), name)
      }
    }).pipe(Effect.provide(NodeMetrics.layer), Effect.provideService(Metric.MetricRegistry, new Map())))

  it("has a provocation for every entry, and none for what is no entry", () => {
    const names = Object.keys(Metrics.catalogue).filter((name) => !/^(process|nodejs)_/.test(name))
    assert.deepStrictEqual(Object.keys(provocations).toSorted(), names.toSorted())
  })

  for (const [name, provocation] of Object.entries(provocations)) {
    it.effect(`${name} is emitted`, () =>
      Effect.gen(function*() {
        // The keys are those of the catalogue, as the type of the table says.
        assert.isTrue(isProvoked(name as Name, yield* provocation))
      }).pipe(
        Effect.scoped,
        Effect.provide(Metrics.layer),
        Effect.provideService(Metric.MetricRegistry, new Map())
      ))
  }
})
