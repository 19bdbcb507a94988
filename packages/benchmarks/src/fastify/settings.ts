/** What the environment decides. The variables are those of the agent server, so that one load fits both. */

/** The settings of the assembly. */
export interface Settings {
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly baseUrl: string
  readonly model: string
  /** `name:key:tier`, separated by commas. */
  readonly apiKeys: string
  readonly logLevel: string
  readonly maxMessageChars: number
  readonly maxBodyBytes: number
  readonly maxRunMillis: number
  readonly agentRequestsPerMinute: number
  readonly provider: {
    readonly concurrency: number
    readonly requestsPerMinute: number
    readonly tokensPerMinute: number
    readonly usdPerDay: number
  }
}

const required = (name: string): string => {
  const value = process.env[name]
  if (value === undefined || value === "") throw new RangeError(`${name} must be set`)
  return value
}

const number = (name: string, fallback: number): number => {
  const value = process.env[name] ?? ""
  const parsed = value === "" ? fallback : Number(value)
  if (!Number.isFinite(parsed) || parsed < 0) throw new RangeError(`${name} must be a number, and is ${value}`)
  return parsed
}

/** The settings of this process's environment. */
export const settings = (): Settings => ({
  host: process.env["HOST"] ?? "127.0.0.1",
  port: number("PORT", 8080),
  dataDir: required("DATA_DIR"),
  baseUrl: required("OPENAI_BASE_URL"),
  model: process.env["OPENAI_MODEL"] ?? "gpt-4o",
  apiKeys: process.env["API_KEYS"] ?? "",
  logLevel: process.env["LOG_LEVEL"] ?? "info",
  maxMessageChars: number("MAX_MESSAGE_CHARS", 8000),
  maxBodyBytes: number("MAX_BODY_BYTES", 256 * 1024),
  maxRunMillis: number("MAX_RUN_SECONDS", 60) * 1000,
  agentRequestsPerMinute: number("AGENT_REQUESTS_PER_MINUTE", 60_000),
  provider: {
    concurrency: number("PROVIDER_CONCURRENCY", 512),
    requestsPerMinute: number("PROVIDER_REQUESTS_PER_MINUTE", 3500),
    tokensPerMinute: number("PROVIDER_TOKENS_PER_MINUTE", 90_000),
    usdPerDay: number("PROVIDER_USD_PER_DAY", 10)
  }
})
