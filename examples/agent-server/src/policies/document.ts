/**
 * What policies.yaml says beside the `policies` of its providers. These are the library's own kind of document; see its
 * `Policy.Document`.
 */
import type * as Policy from "effect-resilience/Policy"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/** The providers of language models. */
export const modelProviders = ["llm-primary", "llm-secondary", "llm-anthropic"] as const

/** The providers of speech. */
const speechProviders = ["stt-primary", "stt-backup", "tts-primary", "tts-backup"] as const

/** All that have policies of their own. */
export const providers = [...modelProviders, ...speechProviders] as const

/** A dependency that thinks. */
export type Dependency = (typeof modelProviders)[number]

/** A dependency that hears or speaks. */
export type SpeechDependency = (typeof speechProviders)[number]

const number = (isRight: (n: number) => boolean, expected: string) =>
  Schema.Finite.check(Schema.makeFilter(isRight, { expected }))

const Count = number((n) => Number.isSafeInteger(n) && n > 0, "a positive integer")
const CountOrNone = number((n) => Number.isSafeInteger(n) && n >= 0, "an integer of at least 0")
const Positive = number((n) => n > 0, "a number above 0")
const NotNegative = number((n) => n >= 0, "a number of at least 0")
const Share = number((n) => n > 0 && n <= 1, "a number above 0 and up to 1")

const time = (isRight: (millis: number) => boolean, expected: string) =>
  Schema.DurationFromString.check(
    Schema.makeFilter((duration: Duration.Duration) => isRight(Duration.toMillis(duration)), { expected })
  )

const Time = time((millis) => millis > 0 && millis < Infinity, "a time above zero, such as \"2 seconds\"")
const TimeOrNone = time((millis) => millis >= 0 && millis < Infinity, "a time of at least zero, such as \"2 seconds\"")

/** A wait that grows. */
const Cooldown = Schema.Struct({ base: Time, cap: Time })

const Budget = Schema.Struct({
  usd: Schema.Struct({ real: Positive, simulated: Positive }),
  window: Time,
  warnAt: Share,
  denyAt: number((n) => n >= 1, "a number of at least 1")
})

const Chain = Schema.Struct({
  routes: Schema.NonEmptyArray(Schema.Literals(modelProviders)),
  order: Schema.Literals(["priority", "cost", "quality", "latency"]),
  cooldown: Cooldown,
  haltFor: TimeOrNone,
  maxWait: TimeOrNone,
  budget: Budget
})

const Model = Schema.Struct({
  quality: Schema.optionalKey(Schema.Finite),
  contextWindow: Schema.optionalKey(Count),
  price: Schema.optionalKey(Schema.Struct({ input: NotNegative, output: NotNegative }))
})

const Reply = Schema.String.check(Schema.isPattern(/\S/, { expected: "some text" }))

/** Requests a minute, or no limit. */
const PerMinute = Schema.Union([Count, Schema.Literal("unlimited")])

/** What limits do while their store does not answer: calls pass uncounted, are refused, or each instance keeps this share. */
const OnStoreError = Schema.Union([Schema.Literals(["open", "closed"]), Schema.Struct({ share: Share })])
export type OnStoreError = typeof OnStoreError.Type

/** What a provider may be asked for in a minute, and cost in a day. */
export const ProviderLimits = Schema.Struct({
  requestsPerMinute: Positive,
  tokensPerMinute: Positive,
  usdPerDay: Positive
})
export type ProviderLimits = typeof ProviderLimits.Type

const AllLimits = Schema.Struct({
  "llm-primary": ProviderLimits,
  "llm-secondary": ProviderLimits,
  "llm-anthropic": ProviderLimits
})

/** The sections, each of which policies.yaml explains. */
export const Sections = Schema.Struct({
  turns: Schema.Struct({
    deadlines: Schema.Struct({ models: Share, attempt: Share }),
    history: Schema.Struct({ messages: Count, characters: Count }),
    waiting: CountOrNone
  }),
  chain: Chain,
  models: Schema.Record(Schema.String, Model),
  replies: Schema.Struct({
    ttl: Time,
    staleIfError: TimeOrNone,
    patterns: Schema.Array(Schema.Struct({ match: Reply, reply: Reply })),
    apology: Reply
  }),
  limits: Schema.Struct({
    perIp: PerMinute,
    perKey: Schema.Struct({ free: PerMinute, standard: PerMinute, unlimited: PerMinute }),
    perAgent: PerMinute,
    // Documents that were written before there was a choice do without it.
    onStoreError: Schema.optionalKey(
      Schema.Struct({ callers: OnStoreError, rates: OnStoreError, cost: OnStoreError })
    ),
    providers: Schema.Struct({ real: AllLimits, simulated: AllLimits, maxWait: TimeOrNone, maxQueue: CountOrNone })
  }),
  health: Schema.Struct({ interval: Time, timeout: Time, failed: Count, healthy: Count }),
  letters: Schema.Struct({
    retention: Schema.Struct({ age: Time, size: Count }),
    maxRedrives: Count,
    autoRedrive: Schema.Struct({
      every: Schema.Union([Schema.Literal("never"), Time]),
      rate: Count,
      concurrency: Count
    })
  }),
  voice: Schema.Struct({
    cooldown: Cooldown,
    maxWait: TimeOrNone,
    attempts: Schema.Struct({ primary: Share, backup: Share }),
    speaking: Share,
    silence: number((n) => n >= 0 && n <= 1, "a number from 0 to 1"),
    maxSpoken: Count,
    maxSpeechBytes: Count
  })
})
export type Sections = typeof Sections.Type

/** What a provider's policy is made of here: its deadlines are shares of a turn, and what follows it is the chain. */
export const parts: ReadonlySet<string> = new Set<keyof Policy.Config>(["breaker", "bulkhead", "retry"])
