/**
 * Everything about the server that the environment decides. All of it is optional.
 *
 * A variable that is set to nothing counts as not set. Bad ones stop the start, all of them named at once, and none of
 * the secret ones shown.
 */
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fileURLToPath } from "node:url"
import * as Origins from "./http/origins.ts"
import { type LetterKey, parse as parseLetterKeys } from "./letters/encryption.ts"
import { tiers } from "./limits/limits.ts"
import type * as Logging from "./logging.ts"
import type { Overrides } from "./policies/values.ts"
import { CannotStart } from "./startup/CannotStart.ts"
import * as ShutdownTimes from "./startup/shutdownTimes.ts"
import * as Speech from "./voice/settings.ts"

/** Language models that this process simulates. */
export interface Simulated {
  readonly _tag: "Simulated"
  /** The first choice. */
  readonly model: string
  readonly seed: number
}

/** Language models at real endpoints; at least one of them is there. */
export interface Real {
  readonly _tag: "Real"
  /** Any endpoint that speaks OpenAI's chat completions. The second model is at the same place. */
  readonly openAi: {
    readonly baseUrl: string
    readonly apiKey: Redacted.Redacted | undefined
    readonly model: string
    readonly fallbackModel: string | undefined
  } | undefined
  readonly anthropic: {
    readonly baseUrl: string | undefined
    readonly apiKey: Redacted.Redacted | undefined
    readonly model: string | undefined
  } | undefined
}

/** Where the language models are. */
export type Provider = Simulated | Real

/** The server's settings. README.md has the table of the variables. */
export class Settings extends Context.Service<Settings, {
  readonly host: string
  readonly port: number
  readonly provider: Provider
  /** `undefined`: one is made at the start. */
  readonly adminKey: Redacted.Redacted | undefined
  readonly dataDir: string
  readonly logLevel: LogLevel.LogLevel
  readonly logFormat: Logging.Format
  readonly logDebugShare: number
  /** A file that the log is written to as well. */
  readonly logFile: string | undefined
  /** How large that file becomes before it is put aside. */
  readonly logFileBytes: number
  readonly maxMessageChars: number
  readonly maxBodyBytes: number
  readonly maxRun: Duration.Duration
  readonly apiKeys: ReadonlyArray<ApiKey.Key>
  readonly trustedProxies: ReadonlyArray<string>
  readonly shutdown: ShutdownTimes.ShutdownTimes
  readonly maxInFlight: number
  /** Whose pages may call this server; none: no reply says anything about it. */
  readonly corsOrigins: ReadonlyArray<string>
  /** The document of policies. */
  readonly policiesFile: string
  /** What is set of what the policies say as well. */
  readonly overrides: Overrides
  /** Where PostgreSQL is; `undefined`: SQLite in `dataDir`. */
  readonly databaseUrl: Redacted.Redacted | undefined
  /** What becomes of turns while PostgreSQL is away. */
  readonly whileAway: "journal" | "refuse"
  /** Where Redis is; `undefined`: limits and circuits are this process's own. */
  readonly redisUrl: Redacted.Redacted | undefined
  /** How many connections to each provider of models there are at most. The pool is made once, so no document changes it. */
  readonly connections: number
  /** What dead letters are sealed with, the current key first; none: they are kept in the clear. */
  readonly letterKeys: ReadonlyArray<LetterKey>
  readonly speech: Speech.Speech
  readonly maxAudioBytes: number
  /** Where measured turns are kept; below `dataDir` where it is relative. */
  readonly metricsPath: string
}>()("agent-server/config/Settings") {}

/** How a variable is read, and what is said of a bad one. */
export interface Variable<A> {
  /** What the variable must be, for people: "a port from 0 to 65535". */
  readonly expected: string
  readonly schema: Schema.ConstraintDecoder<A>
  readonly secret?: boolean
}

const integer = (minimum: number, maximum: number): Variable<number> => ({
  expected: `a whole number from ${minimum} to ${maximum}`,
  schema: Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum }))
})

const oneOf = <const A extends string>(...values: ReadonlyArray<A>): Variable<A> => ({
  expected: `one of ${values.join(", ")}`,
  schema: Schema.Literals(values)
})

/** In any case, as other programs write them. */
const logLevel: Variable<LogLevel.LogLevel> = {
  expected: `one of ${LogLevel.values.join(", ").toLowerCase()}`,
  schema: Schema.String.pipe(
    Schema.decode(SchemaTransformation.toLowerCase()),
    Schema.decode(SchemaTransformation.capitalize()),
    Schema.decodeTo(Schema.Literals(LogLevel.values))
  )
}

const text: Variable<string> = { expected: "some text", schema: Schema.String }

/** A header value: what Node would refuse to send must not get that far. */
const secret: Variable<Redacted.Redacted> = {
  expected: "visible ASCII characters",
  schema: Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))),
  secret: true
}

/** A URL that may have a password in it, and is never shown. */
const secretUrl = (...schemes: ReadonlyArray<string>): Variable<Redacted.Redacted> => ({
  expected: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
  schema: Schema.RedactedFromValue(
    Schema.String.check(
      Schema.makeFilter((value) =>
        URL.canParse(value) && schemes.some((scheme) => new URL(value).protocol === `${scheme}:`)
        && new URL(value).hostname !== ""
      )
    )
  ),
  secret: true
})

const httpUrl: Variable<string> = {
  expected: "a URL that begins with http:// or https://",
  schema: Schema.String.check(Schema.makeFilter((value) => /^https?:\/\//.test(value) && URL.canParse(value))),
  // It may have a password in it.
  secret: true
}

const seconds = (minimum: number, maximum: number): Variable<number> => ({
  expected: `a number of seconds from ${minimum} to ${maximum}`,
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum, maximum }))
})

/** `1.5` is seconds, as in the other variables; `500 millis` and `2 minutes` say their unit. */
const duration = (minimum: Duration.Duration, maximum: Duration.Duration): Variable<Duration.Duration> => ({
  expected: `a time from ${Duration.format(minimum)} to ${Duration.format(maximum)}, such as 5 or "500 millis"`,
  schema: Schema.Union([
    Schema.FiniteFromString.pipe(Schema.decodeTo(Schema.Duration, {
      decode: SchemaGetter.transform(Duration.seconds),
      encode: SchemaGetter.transform(Duration.toSeconds)
    })),
    Schema.DurationFromString
  ]).check(Schema.makeFilter((value) => Duration.between(value, { minimum, maximum })))
})

const share: Variable<number> = {
  expected: "a number from 0 to 1",
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
}

const positive: Variable<number> = {
  expected: "a number above zero",
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum: 1e-6, maximum: 1e12 }))
}

/** Keys and proxies have a form of their own, and their package says what is wrong with it. */
const apiKeys = (text: string, complaints: Array<string>): ReadonlyArray<ApiKey.Key> =>
  Result.match(text === "" ? Result.succeed([]) : ApiKey.parse(text, { tiers }), {
    onFailure: (lines) => {
      complaints.push(...lines.map((line) => `API_KEYS: ${line}`))
      return []
    },
    onSuccess: (keys) => keys
  })

const trustedProxies = (text: string, complaints: Array<string>): ReadonlyArray<string> => {
  const proxies = text.split(",").map((proxy) => proxy.trim()).filter((proxy) => proxy !== "")
  try {
    ClientAddress.make({ trustedProxies: proxies })
    return proxies
  } catch (error) {
    complaints.push(`TRUSTED_PROXIES: ${error instanceof Error ? error.message : String(error)}`)
    return []
  }
}

const shutdownTimes = (
  { drainTimeout, gracePeriod, preStopDelay }: ShutdownTimes.ShutdownTimes,
  complaints: Array<string>
): ShutdownTimes.ShutdownTimes => {
  const times = { preStopDelay, drainTimeout, gracePeriod }
  const complaint = ShutdownTimes.complaintAbout(times)
  if (complaint !== undefined) complaints.push(complaint)
  return times
}

const letterKeys = (text: string, complaints: Array<string>): ReadonlyArray<LetterKey> =>
  Result.match(parseLetterKeys(text), {
    onFailure: (line) => {
      complaints.push(`DLQ_ENCRYPTION_KEYS: ${line}`)
      return []
    },
    onSuccess: (keys) => keys
  })

/** Reads a variable. Where it is bad, a line about it goes to `complaints`, and reading goes on. */
const reader =
  (complaints: Array<string>) =>
  <A, B>(name: string, variable: Variable<A>, fallback: B): Effect.Effect<A | B, Config.ConfigError> =>
    Effect.map(Config.option(Config.String(name)), (found) => {
      const value = Option.getOrElse(found, () => "").trim()
      if (value === "") return fallback
      const decoded = Schema.decodeUnknownOption(variable.schema)(value)
      if (Option.isSome(decoded)) return decoded.value
      complaints.push(
        variable.secret === true
          ? `${name} must be ${variable.expected}; what it is set to is not shown`
          : `${name} must be ${variable.expected}, and is ${JSON.stringify(value.slice(0, 200))}`
      )
      return fallback
    })

/** Reads the variables of the environment. */
export type Reader = ReturnType<typeof reader>

/** OpenAI's own models have a smaller one beside them; of a server with models of other names nobody knows. */
const fallbackModelOf = (model: string, given: string | undefined): string | undefined => {
  const fallback = given ?? (model.startsWith("gpt-") ? "gpt-4o-mini" : undefined)
  return fallback === model ? undefined : fallback
}

/** Of real providers, those that something says where they are, or with which key; where nothing does, simulated ones. */
const providerOf = (values: {
  readonly baseUrl: string | undefined
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
  readonly fallbackModel: string | undefined
  readonly anthropicBaseUrl: string | undefined
  readonly anthropicApiKey: Redacted.Redacted | undefined
  readonly anthropicModel: string | undefined
  readonly simSeed: number
}): Provider => {
  const { anthropicApiKey, anthropicBaseUrl, anthropicModel, apiKey, baseUrl, fallbackModel, model, simSeed } = values
  const openAi = baseUrl === undefined && apiKey === undefined
    ? undefined
    : {
      baseUrl: baseUrl ?? "https://api.openai.com/v1",
      apiKey,
      model,
      fallbackModel: fallbackModelOf(model, fallbackModel)
    }
  const anthropic = anthropicBaseUrl === undefined && anthropicApiKey === undefined
    ? undefined
    : { baseUrl: anthropicBaseUrl, apiKey: anthropicApiKey, model: anthropicModel }
  return openAi === undefined && anthropic === undefined
    ? { _tag: "Simulated", model, seed: simSeed }
    : { _tag: "Real", openAi, anthropic }
}

const besideTheExample = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

const load = Effect.gen(function*() {
  const complaints: Array<string> = []
  const read = reader(complaints)
  const values = yield* Effect.all({
    host: read("HOST", text, "127.0.0.1"),
    port: read("PORT", integer(0, 65_535), 8080),
    baseUrl: read("OPENAI_BASE_URL", httpUrl, undefined),
    apiKey: read("OPENAI_API_KEY", secret, undefined),
    model: read("OPENAI_MODEL", text, "gpt-4o"),
    fallbackModel: read("OPENAI_FALLBACK_MODEL", text, undefined),
    anthropicBaseUrl: read("ANTHROPIC_BASE_URL", httpUrl, undefined),
    anthropicApiKey: read("ANTHROPIC_API_KEY", secret, undefined),
    anthropicModel: read("ANTHROPIC_MODEL", text, undefined),
    adminKey: read("ADMIN_KEY", secret, undefined),
    dataDir: read("DATA_DIR", text, besideTheExample("data")),
    policiesFile: read("POLICIES", text, besideTheExample("policies.yaml")),
    logLevel: read("LOG_LEVEL", logLevel, "Info" as const),
    logFormat: read("LOG_FORMAT", oneOf("text", "json"), "text" as const),
    logDebugShare: read("LOG_DEBUG_SHARE", share, 0.1),
    logFile: read("LOG_FILE", text, undefined),
    logFileBytes: read("LOG_FILE_BYTES", integer(1000, 10_000_000_000), 10_000_000),
    maxMessageChars: read("MAX_MESSAGE_CHARS", integer(1, 1_000_000), 8000),
    maxBodyBytes: read("MAX_BODY_BYTES", integer(1, 100_000_000), 256 * 1024),
    maxRunSeconds: read("MAX_RUN_SECONDS", seconds(0.1, 3600), 60),
    simSeed: read("SIM_SEED", integer(0, 2 ** 32 - 1), 1),
    apiKeys: read("API_KEYS", text, ""),
    trustedProxies: read("TRUSTED_PROXIES", text, ""),
    requestsPerMinute: read("PROVIDER_REQUESTS_PER_MINUTE", positive, undefined),
    tokensPerMinute: read("PROVIDER_TOKENS_PER_MINUTE", positive, undefined),
    usdPerDay: read("PROVIDER_USD_PER_DAY", positive, undefined),
    providerConcurrency: read("PROVIDER_CONCURRENCY", integer(1, 1_000_000), undefined),
    agentRequestsPerMinute: read("AGENT_REQUESTS_PER_MINUTE", integer(1, 1_000_000_000), undefined),
    preStopDelay: read("PRE_STOP_DELAY", duration(Duration.zero, Duration.minutes(10)), Duration.seconds(5)),
    drainTimeout: read("DRAIN_TIMEOUT", duration(Duration.zero, Duration.hours(1)), Duration.seconds(20)),
    gracePeriod: read(
      "TERMINATION_GRACE_PERIOD_SECONDS",
      duration(Duration.seconds(3), Duration.hours(2)),
      Duration.seconds(30)
    ),
    maxInFlight: read("MAX_IN_FLIGHT", integer(1, 1_000_000), 5000),
    corsOrigins: read("CORS_ORIGINS", text, ""),
    healthInterval: read("HEALTH_INTERVAL", duration(Duration.millis(100), Duration.hours(1)), undefined),
    databaseUrl: read("DATABASE_URL", secretUrl("postgres", "postgresql"), undefined),
    whileAway: read("DATABASE_AWAY", oneOf("journal", "refuse"), "journal" as const),
    redisUrl: read("REDIS_URL", secretUrl("redis", "rediss"), undefined),
    dlqKeys: read("DLQ_ENCRYPTION_KEYS", text, ""),
    dlqSeconds: read("DLQ_AUTO_REDRIVE_SECONDS", seconds(0.1, 86_400), undefined),
    maxAudioBytes: read("MAX_AUDIO_BYTES", integer(1, 100_000_000), 10_000_000),
    metricsPath: read("METRICS_SAVE_PATH", text, "logs/metrics.jsonl")
  })
  const speech: Speech.Speech = {
    stt: yield* Speech.pair("STT", "whisper-1", read, { url: httpUrl, secret, text }, complaints),
    tts: yield* Speech.pair("TTS", "tts-1", read, { url: httpUrl, secret, text }, complaints),
    voice: yield* read("TTS_VOICE", text, "alloy"),
    seed: values.simSeed
  }
  const keys = apiKeys(values.apiKeys, complaints)
  const proxies = trustedProxies(values.trustedProxies, complaints)
  const corsOrigins = Origins.parse(values.corsOrigins, complaints)
  const shutdown = shutdownTimes(values, complaints)
  const sealing = letterKeys(values.dlqKeys, complaints)
  if (complaints.length > 0) return yield* new CannotStart({ lines: complaints })
  const {
    dlqKeys: _,
    agentRequestsPerMinute,
    dlqSeconds,
    healthInterval,
    maxRunSeconds,
    providerConcurrency,
    requestsPerMinute,
    tokensPerMinute,
    usdPerDay,
    ...rest
  } = values
  return {
    ...rest,
    speech,
    connections: providerConcurrency ?? 512,
    provider: providerOf(values),
    maxRun: Duration.seconds(maxRunSeconds),
    apiKeys: keys,
    trustedProxies: proxies,
    corsOrigins,
    shutdown,
    letterKeys: sealing,
    overrides: {
      requestsPerMinute,
      tokensPerMinute,
      usdPerDay,
      providerConcurrency,
      agentRequestsPerMinute,
      healthInterval,
      autoRedrive: dlqSeconds === undefined ? undefined : Duration.seconds(dlqSeconds)
    }
  }
})

/** The settings of the environment. */
export const layer = Layer.effect(Settings, load)
