import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as LanguageModelMetrics from "effect-resilience/LanguageModelMetrics"
import * as Metrics from "effect-resilience/Metrics"
import * as Retry from "effect-resilience/Retry"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { parse } from "./support/exposition.ts"
import { type Script, scriptedModel, words } from "./support/scriptedModel.ts"
import { recordingTracer } from "./support/spans.ts"

/** In a registry of its own. */
const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

/** Two dollars for a word that goes in, five for one that comes out: sums of these are exact. */
const price = (_: string, { input, output }: LanguageModelMetrics.Tokens) => input * 2 + output * 5

const counted = (
  { layer }: ReturnType<typeof scriptedModel>,
  options?: Partial<LanguageModelMetrics.Options>
): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.provide(
    LanguageModelMetrics.layer({ provider: "scripted", model: "m", price, tokens: words, ...options }),
    layer
  )

/** Runs an effect with all the virtual time that it wants. */
const finished = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(self), { startImmediately: true })
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

const whole = LanguageModel.generateText({ prompt: "why so slow?" })
const streamed = LanguageModel.streamText({ prompt: "why so slow?" })

const outcomes = Effect.map(
  samples,
  (all) =>
    ["success", "failure", "interrupted"].map((outcome) =>
      all.get(`llm_requests_total{model=m,outcome=${outcome},provider=scripted}`)
    )
)

const books = Effect.map(samples, (all) => {
  const tokens = (type: string) => all.get(`llm_tokens_total{model=m,provider=scripted,type=${type}}`)
  return {
    input: tokens("input"),
    output: tokens("output"),
    usd: all.get("llm_cost_usd_total{model=m,provider=scripted}")
  }
})

const genAi = "gen_ai_operation_name=chat,gen_ai_provider_name=scripted,gen_ai_request_model=m"

describe("LanguageModelMetrics", () => {
  it.effect("counts a whole answer: tokens, money, time, outcome", () => {
    const model = scriptedModel(["one", "two"], () => ({ latency: 500 }))
    return Effect.gen(function*() {
      const exit = yield* finished(whole)
      assert.strictEqual(Exit.isSuccess(exit) && exit.value.text, "one two")
      const all = yield* samples
      assert.deepStrictEqual(yield* books, { input: 3, output: 2, usd: 16 })
      assert.deepStrictEqual(yield* outcomes, [1, 0, 0])
      assert.strictEqual(all.get(`gen_ai_client_token_usage_sum{${genAi},gen_ai_token_type=input}`), 3)
      assert.strictEqual(all.get(`gen_ai_client_token_usage_sum{${genAi},gen_ai_token_type=output}`), 2)
      assert.strictEqual(all.get(`gen_ai_client_operation_duration_seconds_sum{${genAi}}`), 0.5)
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("times a stream: its first chunk, and from chunk to chunk", () => {
    const model = scriptedModel(["one", "two", "three"], () => ({ latency: 300, every: 50 }))
    return Effect.gen(function*() {
      yield* finished(Stream.runDrain(streamed))
      const all = yield* samples
      const time = (name: string, what: string) => all.get(`gen_ai_client_operation_${name}_seconds_${what}{${genAi}}`)
      assert.strictEqual(time("time_to_first_chunk", "sum"), 0.3)
      assert.strictEqual(time("time_to_first_chunk", "count"), 1)
      assert.closeTo(time("time_per_output_chunk", "sum")!, 0.1, 1e-9)
      assert.strictEqual(time("time_per_output_chunk", "count"), 2)
      assert.strictEqual(time("duration", "sum"), 0.4)
      assert.deepStrictEqual(yield* books, { input: 3, output: 3, usd: 21 })
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("counts objects, and asks an iterator for its messages once", () => {
    const model = scriptedModel(["{\"answer\":2}"])
    return Effect.gen(function*() {
      const messages = function*(): Generator<Prompt.MessageEncoded> {
        yield { role: "user", content: "how many?" }
      }
      const object = LanguageModel.generateObject({
        prompt: messages(),
        schema: Schema.Struct({ answer: Schema.Finite })
      })
      const exit = yield* finished(object)
      assert.deepStrictEqual(Exit.isSuccess(exit) && exit.value.value, { answer: 2 })
      assert.deepStrictEqual(yield* books, { input: 2, output: 1, usd: 9 })
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("MT3: a stream that is left is no failure, and counted by what was heard", () => {
    const model = scriptedModel(["a", "b", "c", "d"], () => ({ every: 1_000 }))
    return Effect.gen(function*() {
      // By who takes what he wants, and by who is interrupted.
      yield* finished(Stream.runDrain(Stream.takeUntil(streamed, (part) => part.type === "text-delta")))
      assert.deepStrictEqual(yield* books, { input: 3, output: 1, usd: 11 })
      const reading = yield* Effect.forkChild(Stream.runDrain(streamed), { startImmediately: true })
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.interrupt(reading)
      assert.deepStrictEqual(yield* outcomes, [0, 0, 2])
      assert.deepStrictEqual(yield* books, { input: model.ledger.input, output: model.ledger.output, usd: 27 })
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("a reader who leaves after the end of the answer has had a success", () => {
    const model = scriptedModel(["a"])
    return Effect.gen(function*() {
      yield* finished(Stream.runDrain(Stream.takeUntil(streamed, (part) => part.type === "finish")))
      assert.deepStrictEqual(yield* outcomes, [1, 0, 0])
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("a call that fails before anything was heard has used nothing", () => {
    const model = scriptedModel(["a"], () => ({ failAt: "start" }))
    return Effect.gen(function*() {
      yield* finished(whole)
      yield* finished(Stream.runDrain(streamed))
      assert.deepStrictEqual(yield* outcomes, [0, 2, 0])
      assert.deepStrictEqual(yield* books, { input: 0, output: 0, usd: 0 })
    }).pipe(Effect.provide(counted(model)), apart)
  })

  it.effect("an unknown price is counted, and is not zero; the model that answered is the one that is priced", () => {
    const asked: Array<string> = []
    const model = scriptedModel(["a"])
    const unknown = (name: string) => {
      asked.push(name)
      return undefined
    }
    return Effect.gen(function*() {
      yield* finished(whole)
      yield* finished(Stream.runDrain(streamed))
      const all = yield* samples
      assert.strictEqual(all.get("llm_cost_unpriced_calls_total{model=m,provider=scripted}"), 2)
      assert.strictEqual(all.get("llm_cost_usd_total{model=m,provider=scripted}"), 0)
      assert.deepStrictEqual(asked, ["scripted-2", "m"])
    }).pipe(Effect.provide(counted(model, { price: unknown })), apart)
  })

  it.effect("MT6: a price that is no number cannot spoil the sum", () => {
    const model = scriptedModel(["a"])
    return Effect.gen(function*() {
      yield* finished(whole)
      const all = yield* samples
      assert.strictEqual(all.get("llm_cost_usd_total{model=m,provider=scripted}"), 0)
      assert.strictEqual(all.get("metrics_invalid_updates_total{metric=llm_cost_usd_total}"), 1)
    }).pipe(Effect.provide(counted(model, { price: () => NaN })), apart)
  })

  it.effect("MT5: the series of a provider are there at 0 before it is asked", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* outcomes, [0, 0, 0])
      assert.deepStrictEqual(yield* books, { input: 0, output: 0, usd: 0 })
    }).pipe(Effect.provide(counted(scriptedModel([]))), apart))

  it.effect("MT3: a storm of plain, streamed, retried, failed-over and aborted calls is in the books as the providers have it", () =>
    Effect.gen(function*() {
      const scriptOf = (value: number): Script =>
        value < 0.25
          ? { failAt: "start", latency: 20 }
          : value < 0.4
          ? { failAt: 2, every: 30 }
          : { latency: 100, every: 10 }
      const draws: Array<number> = []
      for (let index = 0; index < 5_000; index++) draws.push(yield* Random.next)
      let drawn = 0
      const next = () => scriptOf(draws[drawn++ % draws.length]!)
      const providers = {
        first: scriptedModel(["one", "two", "three", "four"], next),
        second: scriptedModel(["uno", "dos"], next)
      }
      const chain = yield* FallbackChain.make("llm", [
        FallbackChain.route("first", counted(providers.first, { model: "first" })),
        FallbackChain.route("second", counted(providers.second, { model: "second" }))
      ], { cooldown: Schedule.spaced("20 millis") })
      const model = FallbackChain.languageModel(chain, { tokens: words })
      const again = Schedule.recurs(2)
      const calls = [
        Effect.asVoid(whole),
        Stream.runDrain(streamed),
        Retry.retry(Effect.asVoid(whole), again, { name: "llm" }),
        Retry.retry(Stream.runDrain(streamed), again, { name: "llm" }),
        Stream.runDrain(Stream.take(streamed, 3)),
        Effect.timeoutOption(Stream.runDrain(streamed), "115 millis")
      ]
      const storm = Effect.forEach(
        Array.from({ length: 600 }, (_, index) => calls[index % calls.length]!),
        // A route that cools down is not asked: there is time for that between two calls.
        (call) => Effect.delay(Effect.exit(call), "50 millis"),
        { concurrency: 7, discard: true }
      )
      yield* finished(Effect.provide(storm, model))
      const all = yield* samples
      for (const name of ["first", "second"] as const) {
        const { calls, firstWords, further, input, output } = providers[name].ledger
        const labels = `model=${name},provider=scripted`
        const genAi = `{gen_ai_operation_name=chat,gen_ai_provider_name=scripted,gen_ai_request_model=${name}}`
        const outcome = (kind: string) =>
          all.get(`llm_requests_total{model=${name},outcome=${kind},provider=scripted}`)!
        assert.isAbove(calls, 50)
        assert.strictEqual(outcome("success") + outcome("failure") + outcome("interrupted"), calls)
        assert.isAbove(outcome("failure"), 0)
        assert.strictEqual(all.get(`llm_tokens_total{${labels},type=input}`), input)
        assert.strictEqual(all.get(`llm_tokens_total{${labels},type=output}`), output)
        assert.strictEqual(all.get(`llm_cost_usd_total{${labels}}`), input * 2 + output * 5)
        const first = "gen_ai_client_operation_time_to_first_chunk_seconds"
        assert.strictEqual(all.get(`${first}_count${genAi}`), firstWords.length)
        assert.closeTo(all.get(`${first}_sum${genAi}`)!, firstWords.reduce((sum, ms) => sum + ms, 0) / 1000, 1e-6)
        const per = "gen_ai_client_operation_time_per_output_chunk_seconds"
        assert.strictEqual(all.get(`${per}_count${genAi}`), further)
        assert.strictEqual(all.get(`gen_ai_client_operation_duration_seconds_count${genAi}`), calls)
      }
    }).pipe(Effect.scoped, apart))

  it.effect("puts a call under a span with what it used, and a reader who leaves fails no span", () => {
    const model = scriptedModel(["a", "b"])
    const { spans, tracer } = recordingTracer()
    return Effect.gen(function*() {
      yield* finished(whole)
      yield* finished(Stream.runDrain(streamed))
      const chats = spans.filter(({ name }) => name === "chat m")
      assert.strictEqual(chats.length, 2)
      for (const { attributes, kind, status } of chats) {
        assert.strictEqual(kind, "client")
        assert.strictEqual(status._tag, "Ended")
        assert.strictEqual(attributes.get("gen_ai.operation.name"), "chat")
        assert.strictEqual(attributes.get("gen_ai.request.model"), "m")
        assert.strictEqual(attributes.get("gen_ai.usage.input_tokens"), 3)
        assert.strictEqual(attributes.get("gen_ai.usage.output_tokens"), 2)
        assert.deepStrictEqual(attributes.get("gen_ai.response.finish_reasons"), ["stop"])
      }
      // The provider's own span is inside.
      const inner = spans.find(({ name }) => name === "LanguageModel.generateText")!
      assert.strictEqual(inner.parent._tag === "Some" && inner.parent.value.spanId, chats[0]!.spanId)
    }).pipe(Effect.provide(counted(model)), Effect.withTracer(tracer), apart)
  })

  it.effect("counts calls of transcription and of speech by how they ended", () =>
    Effect.gen(function*() {
      const stt = LanguageModelMetrics.speech("stt", { provider: "whisper", model: "large" })
      yield* stt(Effect.void)
      yield* Effect.exit(stt(Effect.fail("down")))
      yield* Fiber.interrupt(yield* Effect.forkChild(stt(Effect.never), { startImmediately: true }))
      yield* LanguageModelMetrics.speech("tts", { provider: "piper", model: "amy" })(Effect.void)
      const all = yield* samples
      const counts = (kind: string, labels: string) =>
        ["success", "failure", "interrupted"].map((outcome) =>
          all.get(`${kind}_requests_total{${labels.replace("*", outcome)}}`)
        )
      assert.deepStrictEqual(counts("stt", "model=large,outcome=*,provider=whisper"), [1, 1, 1])
      assert.deepStrictEqual(counts("tts", "model=amy,outcome=*,provider=piper"), [1, 0, 0])
    }).pipe(apart))

  it.effect("MT2: a hundred thousand models make a bounded number of series", () =>
    Effect.gen(function*() {
      const requests = Metrics.instrument("llm_requests_total")
      for (let index = 0; index < 100_000; index++) {
        yield* requests.add(1, { provider: "p", model: `модель-${index}\n"`, outcome: "success" })
      }
      const all = yield* samples
      assert.isAtMost([...all.keys()].filter((key) => key.startsWith("llm_requests_total")).length, 1_001)
      assert.isAbove(all.get("metrics_cardinality_overflow_total{metric=llm_requests_total}")!, 98_000)
    }).pipe(apart))
})
