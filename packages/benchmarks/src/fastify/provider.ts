/**
 * The provider behind its policies: limits of requests, tokens and money, a circuit with opossum, attempts with full
 * jitter between them, and a time for the whole. As is usual there is no budget for all retries together.
 */
import { setTimeout as sleep } from "node:timers/promises"
import CircuitBreaker from "opossum"
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible"
import { costUsd } from "./agents.ts"
import type { Metrics } from "./metrics.ts"
import { type Call, type ChatMessage, type Completion, makeModel, ProviderError } from "./model.ts"
import { Problem } from "./problems.ts"
import type { Settings } from "./settings.ts"
import { withSpan } from "./tracing.ts"

/** A completion, and how many attempts it took. */
interface Answer extends Completion {
  readonly attempts: number
  readonly costUsd: number | null
}

/** Asks the model, under all policies. */
export interface Provider {
  readonly ask: (call: Call) => Promise<Answer>
  /** Hands out the reply bit by bit, and waits for each to be taken. */
  readonly askBitByBit: (call: Call, onDelta: (text: string) => Promise<void> | undefined) => Promise<Answer>
  readonly close: () => Promise<void>
}

const maxRetries = 5

const backoff: Readonly<Record<ProviderError["kind"], { readonly base: number; readonly cap: number } | undefined>> = {
  transient: { base: 100, cap: 2000 },
  overloaded: { base: 500, cap: 8000 },
  rateLimited: { base: 500, cap: 8000 },
  permanent: undefined,
  cutShort: undefined
}

/** Full jitter, and never less than the provider asks for. `undefined`: do not ask again. */
const waitBefore = (error: unknown, retry: number): number | undefined => {
  if (!(error instanceof ProviderError) || retry > maxRetries) return undefined
  const times = backoff[error.kind]
  if (times === undefined || (error.retryAfterMillis ?? 0) > 20_000) return undefined
  return Math.max(error.retryAfterMillis ?? 0, Math.random() * Math.min(times.cap, times.base * 2 ** (retry - 1)))
}

/** Money is limited in whole points: a hundred-thousandth of a dollar each. */
const pointsOfMoney = (usd: number | null): number => Math.ceil((usd ?? 0) * 1e5)

/** The policies around the model. */
export const makeProvider = (settings: Settings, metrics: Metrics): Provider => {
  const { maxRunMillis, provider: limits } = settings
  const model = makeModel({
    baseUrl: settings.baseUrl,
    model: settings.model,
    connections: limits.concurrency,
    attemptMillis: maxRunMillis * 0.3
  })
  const requests = new RateLimiterMemory({ points: limits.requestsPerMinute, duration: 60 })
  const tokens = new RateLimiterMemory({ points: limits.tokensPerMinute, duration: 60 })
  const money = new RateLimiterMemory({ points: pointsOfMoney(limits.usdPerDay), duration: 86_400 })

  const circuit = new CircuitBreaker((task: () => Promise<unknown>) => task(), {
    timeout: maxRunMillis * 0.9,
    errorThresholdPercentage: 50,
    volumeThreshold: 20,
    rollingCountTimeout: 30_000,
    resetTimeout: 30_000,
    capacity: limits.concurrency,
    errorFilter: (error) => error instanceof ProviderError && error.kind === "permanent"
  })
  circuit.on("success", () => metrics.circuit("successful"))
  circuit.on("failure", () => metrics.circuit("failed"))
  circuit.on("reject", () => metrics.circuit("not_permitted"))
  // `fire` returns what the task does; the circuit is one for tasks of all kinds.
  const throughCircuit = <A>(task: () => Promise<A>): Promise<A> => circuit.fire(task) as Promise<A>

  const withRetries = async <A>(call: Call, attempt: () => Promise<A>): Promise<{ value: A; attempts: number }> => {
    for (let attempts = 1;; attempts++) {
      const started = performance.now()
      try {
        const value = await attempt()
        metrics.attempted("success", (performance.now() - started) / 1000)
        return { value, attempts }
      } catch (error) {
        metrics.attempted("failure", (performance.now() - started) / 1000)
        const wait = waitBefore(error, attempts)
        if (wait === undefined) throw error
        await sleep(wait, undefined, { signal: call.signal })
      }
    }
  }

  const reserve = async (estimate: Estimate): Promise<void> => {
    await requests.consume("llm-primary", 1)
    await tokens.consume("llm-primary", estimate.tokens)
    await money.consume("llm-primary", estimate.money)
    metrics.decision("llm-primary", "allowed")
  }
  /** Charges what a call has used instead of what it was thought to use. */
  const settle = async (estimate: Estimate, used: Estimate): Promise<void> => {
    const more = used.tokens - estimate.tokens
    const dearer = used.money - estimate.money
    await (more > 0 ? tokens.penalty("llm-primary", more) : tokens.reward("llm-primary", -more))
    await (dearer > 0 ? money.penalty("llm-primary", dearer) : money.reward("llm-primary", -dearer))
  }

  const measured = async (
    call: Call,
    asking: () => Promise<{ value: Completion; attempts: number }>
  ): Promise<Answer> => {
    const started = performance.now()
    const estimate = estimateOf(settings.model, call.messages)
    let used: Estimate = { tokens: 0, money: 0 }
    try {
      await reserve(estimate)
      const { attempts, value } = await withSpan(`chat ${settings.model}`, call.headers, asking)
      const cost = costUsd(value.model, value.promptTokens, value.completionTokens)
      used = { tokens: value.promptTokens + value.completionTokens, money: pointsOfMoney(cost) }
      metrics.called(settings.model, "success", attempts, (performance.now() - started) / 1000)
      metrics.used(settings.model, value.promptTokens, value.completionTokens, cost ?? 0)
      return { ...value, attempts, costUsd: cost }
    } catch (error) {
      metrics.called(settings.model, "failure", 1, (performance.now() - started) / 1000)
      throw problemOf(error, maxRunMillis)
    } finally {
      await settle(estimate, used)
    }
  }

  return {
    ask: (call) => measured(call, () => throughCircuit(() => withRetries(call, () => model.complete(call)))),
    askBitByBit: (call, onDelta) =>
      measured(call, async () => {
        const { attempts, value } = await throughCircuit(() =>
          withRetries(call, async () => {
            const { completion, deltas } = await model.stream(call)
            return { completion, deltas, first: await deltas.next() }
          })
        )
        const { completion, deltas, first } = value
        if (!first.done) {
          await onDelta(first.value)
          try {
            for await (const delta of deltas) await onDelta(delta)
          } catch (error) {
            throw call.signal.aborted ? error : new ProviderError("cutShort", String(error))
          }
        }
        return { value: completion(), attempts }
      }),
    close: async () => {
      circuit.shutdown()
      await model.close()
    }
  }
}

interface Estimate {
  readonly tokens: number
  readonly money: number
}

const usualReply = 300

const estimateOf = (model: string, messages: ReadonlyArray<ChatMessage>): Estimate => {
  const prompt = Math.ceil(JSON.stringify(messages).length / 4)
  return { tokens: prompt + usualReply, money: pointsOfMoney(costUsd(model, prompt, usualReply)) }
}

const tooLate = (maxRunMillis: number) =>
  new Problem("deadline_exceeded", `There was no complete answer within ${maxRunMillis / 1000}s.`)

const limited = (millis: number) => {
  const seconds = Math.max(1, Math.ceil(millis / 1000))
  return new Problem("provider_rate_limited", `Rate limit exceeded. Try again in ${seconds} seconds.`, {
    error: "rate_limit_exceeded",
    retry_after: seconds
  })
}

const unavailable = () =>
  new Problem(
    "upstream_unavailable",
    "The model's provider cannot take requests at the moment. Try again in a little while.",
    { retry_after: 5 }
  )

const problemOf = (error: unknown, maxRunMillis: number): unknown => {
  if (error instanceof RateLimiterRes) return limited(error.msBeforeNext)
  if (error instanceof ProviderError) {
    switch (error.kind) {
      case "rateLimited":
        return limited(error.retryAfterMillis ?? 5000)
      case "overloaded":
        return unavailable()
      case "cutShort":
        return new Problem("bad_upstream", "The model's reply broke off. Nothing of it was kept. Try again.")
      default:
        return new Problem("bad_upstream", "The model's provider failed, or answered something that makes no sense.")
    }
  }
  switch ((error as { readonly code?: unknown }).code) {
    case "EOPENBREAKER":
    case "ESEMLOCKED":
      return unavailable()
    case "ETIMEDOUT":
      return tooLate(maxRunMillis)
    default:
      return error
  }
}
