/**
 * Everything about the server that the environment decides. All of it is optional.
 *
 * A variable that is set to nothing counts as not set. Bad ones stop the start, all of them named at once, and none of
 * the secret ones shown.
 */
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { fileURLToPath } from "node:url"
import {
  duration,
  httpUrl,
  integer,
  logLevel,
  oneOf,
  positive,
  reader,
  seconds,
  secret,
  secretUrl,
  share,
  text
} from "./config/variables.ts"
import * as Origins from "./http/origins.ts"
import { type LetterKey, parse as parseLetterKeys } from "./letters/encryption.ts"
import { tiers } from "./limits/limits.ts"
import type * as Logging from "./logging.ts"
import type { Overrides } from "./policies/values.ts"
import { type Provider, providerOf } from "./providers/settings.ts"
import { CannotStart } from "./startup/CannotStart.ts"
import * as ShutdownTimes from "./startup/shutdownTimes.ts"
import * as Speech from "./voice/settings.ts"

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
