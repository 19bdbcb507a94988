/**
 * Counts what a language model is asked: calls, tokens, money, and how long its answers take to come.
 *
 * {@link layer} goes around Effect's `LanguageModel`, one for each provider, innermost: retries and chains go around it, so that
 * every call to the provider is counted once, and none twice. It fills `gen_ai_client_*` and `llm_*`, and puts each call
 * under a span `chat <model>`.
 *
 * - **Tokens** are what the provider says at the end of its answer. A stream that breaks off, or that its reader leaves, is
 *   counted by what was heard of it, and its prompt; the provider charges for that, too. A call that failed before anything
 *   was heard has used nothing that is known.
 * - **Money** is what `price` makes of them. A call whose price is not known is counted in `llm_cost_unpriced_calls_total`: an
 *   unknown cost is not zero.
 * - **Outcomes** are `success`, `failure` and `interrupted`. A reader who leaves is no failure.
 *
 * {@link speech} counts calls of transcription and of speech synthesis, {@link budget} shows what is left of a budget.
 *
 * **Example** (What an answer cost)
 *
 * ```ts
 * import { Effect, Layer, Metric, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { LanguageModelMetrics, Metrics } from "effect-resilience"
 *
 * const usage = {
 *   inputTokens: { total: 1_000, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
 *   outputTokens: { total: 50, text: undefined, reasoning: undefined }
 * }
 * const provider = Layer.effect(LanguageModel.LanguageModel, LanguageModel.make({
 *   generateText: () => Effect.succeed([{ type: "text", text: "Lisbon." }, { type: "finish", reason: "stop", usage }]),
 *   streamText: () => Stream.empty
 * }))
 * const counted = LanguageModelMetrics.layer({
 *   provider: "openai",
 *   model: "gpt-4o",
 *   price: (_, { input, output }) => input * 2.5e-6 + output * 1e-5
 * })
 *
 * const program = Effect.andThen(LanguageModel.generateText({ prompt: "Where to?" }), Metrics.format())
 * const text = await Effect.runPromise(program.pipe(
 *   Effect.provide(Layer.provide(counted, provider)),
 *   Effect.provideService(Metric.MetricRegistry, new Map())
 * ))
 * text.includes(`llm_cost_usd_total{model="gpt-4o",provider="openai"} 0.003`) // => true
 * ```
 *
 * @since 0.1.0
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { Account, type Summary, type Tokens as AccountTokens } from "./internal/languageModelMetrics/account.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { outcomeOf } from "./internal/outcome.ts"
import { promptText } from "./internal/promptText.ts"
import * as Metrics from "./Metrics.ts"

/**
 * What a call used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tokens extends AccountTokens {}

/**
 * Options of {@link measure} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Who answers, as OpenTelemetry names them where it does: `openai`, `anthropic`. A label: one of few. */
  readonly provider: string
  /** What is asked for. A label: one of few. */
  readonly model: string
  /**
   * What a call cost in US dollars, or `undefined` where that is not known. `model` is the one that says it answered, or else the one
   * that was asked for. Default: no price is known.
   */
  readonly price?: ((model: string, tokens: Tokens) => number | undefined) | undefined
  /** How many tokens a text has, where the provider does not say. Default: a quarter of its characters, rounded up. */
  readonly tokens?: ((text: string) => number) | undefined
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

const usage = Metrics.instrument("gen_ai_client_token_usage")
const duration = Metrics.instrument("gen_ai_client_operation_duration_seconds")
const toFirstChunk = Metrics.instrument("gen_ai_client_operation_time_to_first_chunk_seconds")
const perChunk = Metrics.instrument("gen_ai_client_operation_time_per_output_chunk_seconds")
const requests = Metrics.instrument("llm_requests_total")
const tokensUsed = Metrics.instrument("llm_tokens_total")
const cost = Metrics.instrument("llm_cost_usd_total")
const unpriced = Metrics.instrument("llm_cost_unpriced_calls_total")
const remaining = Metrics.instrument("llm_budget_remaining_usd")
const spoken = { stt: Metrics.instrument("stt_requests_total"), tts: Metrics.instrument("tts_requests_total") }

/**
 * A model as this file sees it. The signatures of the real one follow the tools and the schema in the options, which go
 * through here untouched, and with them errors and services of the caller's own.
 */
interface AnyModel {
  readonly generateText: (options: Asked) => Effect.Effect<Answer, unknown>
  readonly generateObject: (options: Asked) => Effect.Effect<Answer, unknown>
  readonly streamText: (options: Asked) => Stream.Stream<Response.AnyPart, unknown>
}

interface Asked {
  readonly prompt: Prompt.RawInput
}

interface Answer {
  readonly content: ReadonlyArray<Response.AnyPart>
}

/**
 * A model that counts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const measure: {
  (options: Options): (model: LanguageModel.LanguageModel) => LanguageModel.LanguageModel
  (model: LanguageModel.LanguageModel, options: Options): LanguageModel.LanguageModel
} = dual(2, (model: LanguageModel.LanguageModel, options: Options): LanguageModel.LanguageModel => {
  // The service is generic in its tools; what counts passes calls on and looks at none of that.
  const inner = model as unknown as AnyModel
  const meter = new Meter(options)
  const whole = (method: "generateText" | "generateObject") => (asked: Asked) => {
    // A prompt may be an iterator, which gives its messages once.
    const prompt = Prompt.make(asked.prompt)
    return meter.whole(inner[method]({ ...asked, prompt }), prompt)
  }
  const counting: AnyModel = {
    generateText: whole("generateText"),
    generateObject: whole("generateObject"),
    streamText: (asked) => {
      const prompt = Prompt.make(asked.prompt)
      return meter.streamed(inner.streamText({ ...asked, prompt }), prompt)
    }
  }
  // What came in as the service goes out as it, with whatever else it has.
  return { ...model, ...counting } as unknown as LanguageModel.LanguageModel
})

/**
 * {@link measure} for the `LanguageModel` that is in scope. The series of the provider and its model exist at 0 from here on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.andThen(declare(options), Effect.map(LanguageModel.LanguageModel, measure(options)))
  )

/**
 * Has the series of a provider and its model exist at 0 from now on, where its {@link layer} is built later.
 *
 * @category accessors
 * @since 0.1.0
 */
export const declare = ({ model, provider }: Pick<Options, "provider" | "model">): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const type of ["input", "output"]) yield* tokensUsed.add(0, { provider, model, type })
    yield* requests.add(0, { provider, model, outcome: "success" })
    yield* cost.add(0, { provider, model })
    yield* unpriced.add(0, { provider, model })
  })

class Meter {
  private readonly options: Options
  private readonly labels: { readonly provider: string; readonly model: string }
  private readonly genAi: {
    readonly gen_ai_operation_name: string
    readonly gen_ai_provider_name: string
    readonly gen_ai_request_model: string
  }

  constructor(options: Options) {
    const { model, provider } = options
    this.options = options
    this.labels = { provider, model }
    this.genAi = { gen_ai_operation_name: "chat", gen_ai_provider_name: provider, gen_ai_request_model: model }
  }

  whole<E, R>(call: Effect.Effect<Answer, E, R>, prompt: Prompt.Prompt): Effect.Effect<Answer, E, R> {
    return Effect.withFiber<Answer, E, R>((fiber) => {
      const account = new Account(secondsOf(fiber))
      return Effect.onExitPrimitive(call, (exit) => {
        if (exit._tag === "Success") { for (const part of exit.value.content) account.take(part) }
        account.ended()
        this.settle(fiber, account, exit, prompt)
        return undefined
      })
    }).pipe(Effect.withSpan(`chat ${this.options.model}`, this.span(), { captureStackTrace: false }))
  }

  /** The parts of a stream may be pulled by one fiber after the other, so each time the one that pulls is asked for the time. */
  streamed<E, R>(
    parts: Stream.Stream<Response.AnyPart, E, R>,
    prompt: Prompt.Prompt
  ): Stream.Stream<Response.AnyPart, E, R> {
    return Stream.unwrap(Effect.withFiber((first) => {
      const account = new Account(secondsOf(first))
      return Effect.succeed(parts.pipe(
        Stream.mapArrayEffect((some) =>
          Effect.withFiber((fiber) => {
            for (const part of some) this.heard(fiber, account, part)
            return Effect.succeed(some)
          })
        ),
        Stream.onEnd(Effect.sync(() => account.ended())),
        Stream.onExit((exit) =>
          Effect.withFiber((fiber) => {
            this.settle(fiber, account, exit, prompt)
            return Effect.void
          })
        )
      ))
    })).pipe(Stream.withSpan(`chat ${this.options.model}`, { ...this.span(), captureStackTrace: false }))
  }

  private heard(fiber: AnyFiber, account: Account, part: Response.AnyPart): void {
    const pause = account.chunk(part, secondsOf(fiber))
    if (pause === undefined) return
    const times = pause.isFirst ? toFirstChunk : perChunk
    times.observeUnsafe(fiber, pause.seconds, this.genAi)
  }

  private settle(fiber: AnyFiber, account: Account, exit: Exit.Exit<unknown, unknown>, prompt: Prompt.Prompt): void {
    const { price, tokens = quarter } = this.options
    const summary = account.settle(exit, secondsOf(fiber), { prompt: () => promptText(prompt), tokens })
    duration.observeUnsafe(fiber, summary.duration, this.genAi)
    requests.addUnsafe(fiber, 1, { ...this.labels, outcome: summary.outcome })
    annotate(fiber.cache.span, summary)
    if (summary.tokens === undefined) return
    for (const type of ["input", "output"] as const) {
      usage.observeUnsafe(fiber, summary.tokens[type], { ...this.genAi, gen_ai_token_type: type })
      tokensUsed.addUnsafe(fiber, summary.tokens[type], { ...this.labels, type })
    }
    const usd = price?.(summary.model ?? this.options.model, summary.tokens)
    if (usd === undefined) unpriced.addUnsafe(fiber, 1, this.labels)
    else cost.addUnsafe(fiber, usd, this.labels)
  }

  private span(): Tracer.SpanOptionsNoTrace {
    return {
      kind: "client",
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": this.options.provider,
        "gen_ai.request.model": this.options.model
      }
    }
  }
}

/** Seconds of the monotonic clock. */
const secondsOf = (fiber: AnyFiber): number => monotonicMillis(fiber) / 1000

/** What a call took, on its span. */
const annotate = (span: Tracer.AnySpan | undefined, { finishReason, model, tokens }: Summary): void => {
  if (span?._tag !== "Span" || !span.name.startsWith("chat ")) return
  if (model !== undefined) span.attribute("gen_ai.response.model", model)
  if (finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [finishReason])
  if (tokens === undefined) return
  span.attribute("gen_ai.usage.input_tokens", tokens.input)
  span.attribute("gen_ai.usage.output_tokens", tokens.output)
}

/** Four characters are about a token. */
const quarter = (text: string): number => Math.ceil(text.length / 4)

/**
 * Counts a call of transcription (`"stt"`) or of speech synthesis (`"tts"`), by how it ended, in `stt_requests_total` or
 * `tts_requests_total`. Innermost, as {@link layer} is: each attempt is counted.
 *
 * **Example** (A service that is not there)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { LanguageModelMetrics, Metrics } from "effect-resilience"
 *
 * const transcribe = LanguageModelMetrics.speech("stt", { provider: "openai", model: "whisper-1" })(Effect.fail("no route"))
 * const program = Effect.andThen(Effect.ignore(transcribe), Metrics.format())
 *
 * const text = await Effect.runPromise(Effect.provideService(program, Metric.MetricRegistry, new Map()))
 * text.includes(`stt_requests_total{model="whisper-1",outcome="failure",provider="openai"} 1`) // => true
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const speech =
  (kind: "stt" | "tts", { model, provider }: Pick<Options, "provider" | "model">) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) =>
      Effect.onExitPrimitive(self, (exit) => {
        spoken[kind].addUnsafe(fiber, 1, { provider, model, outcome: outcomeOf(exit) })
        return undefined
      })
    )

/**
 * Has the series of a service of {@link speech} exist at 0 from now on.
 *
 * @category accessors
 * @since 0.1.0
 */
export const declareSpeech = (
  kind: "stt" | "tts",
  { model, provider }: Pick<Options, "provider" | "model">
): Effect.Effect<void> => spoken[kind].add(0, { provider, model, outcome: "success" })

/**
 * Shows what is left of a budget in `llm_budget_remaining_usd`. May be negative; what is no number is refused and counted.
 *
 * @category accessors
 * @since 0.1.0
 */
export const budget = (name: string, remainingUsd: number): Effect.Effect<void> =>
  remaining.set(remainingUsd, { budget: name })
