/** Values that stop the start. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { temporaryFolder } from "../../support/server.ts"
import { type Effects, refusal } from "./kit.ts"

/** A value that makes no sense, by variable. */
export const nonsense = {
  PORT: "eighty",
  OPENAI_BASE_URL: "ftp://user:hunter2@models.example",
  OPENAI_API_KEY: "hunter2 with spaces",
  ANTHROPIC_BASE_URL: "hunter2",
  ANTHROPIC_API_KEY: "hunter2é",
  STT_URL: "hunter2",
  STT_API_KEY: "hunter2 with spaces",
  STT_BACKUP_URL: "hunter2",
  STT_BACKUP_API_KEY: "hunter2 with spaces",
  TTS_URL: "hunter2",
  TTS_API_KEY: "hunter2 with spaces",
  TTS_BACKUP_URL: "hunter2",
  TTS_BACKUP_API_KEY: "hunter2 with spaces",
  REDIS_URL: "hunter2@localhost",
  DATABASE_URL: "mysql://root:hunter2@localhost/agents",
  DATABASE_AWAY: "panic",
  API_KEYS: "me:hunter2-key:gold",
  ADMIN_KEY: "hunter2 with spaces",
  CORS_ORIGINS: "*",
  TRUSTED_PROXIES: "everybody",
  LOG_LEVEL: "loud",
  LOG_FORMAT: "xml",
  LOG_DEBUG_SHARE: "2",
  LOG_FILE_BYTES: "1",
  MAX_MESSAGE_CHARS: "0",
  MAX_BODY_BYTES: "0",
  MAX_AUDIO_BYTES: "-1",
  MAX_RUN_SECONDS: "0",
  MAX_IN_FLIGHT: "0",
  PRE_STOP_DELAY: "soon",
  DRAIN_TIMEOUT: "-1",
  TERMINATION_GRACE_PERIOD_SECONDS: "1",
  HEALTH_INTERVAL: "0",
  SIM_SEED: "x",
  DLQ_AUTO_REDRIVE_SECONDS: "0",
  DLQ_ENCRYPTION_KEYS: "hunter2",
  PROVIDER_REQUESTS_PER_MINUTE: "0",
  PROVIDER_TOKENS_PER_MINUTE: "many",
  PROVIDER_USD_PER_DAY: "-1",
  PROVIDER_CONCURRENCY: "0",
  AGENT_REQUESTS_PER_MINUTE: "few"
}

export const effects: Effects = {
  "what cannot be used is refused by its name": {
    variables: ["DATA_DIR", "DATABASE_URL", "TERMINATION_GRACE_PERIOD_SECONDS", "STT_BACKUP_URL", "TTS_BACKUP_URL"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const nobody = yield* RealServer.freePort
      const lines = (environment: Readonly<Record<string, string>>) =>
        Effect.map(
          refusal({ PORT: "0", DATA_DIR: folder, ...environment }),
          (lines) => lines.map((line) => line.split(/[ :]/)[0])
        )
      expect(yield* lines({ DATA_DIR: "/proc/agent-server" })).toEqual(["DATA_DIR"])
      expect(yield* lines({ DATABASE_URL: `postgres://a:hunter2@127.0.0.1:${nobody}/a` })).toEqual(["DATABASE_URL"])
      expect(yield* lines({ TERMINATION_GRACE_PERIOD_SECONDS: "10" })).toEqual(["PRE_STOP_DELAY"])
      expect(yield* lines({ STT_BACKUP_URL: "http://127.0.0.1:9", TTS_BACKUP_URL: "http://127.0.0.1:9" })).toEqual([
        "STT_BACKUP_URL",
        "TTS_BACKUP_URL"
      ])
    })
  }
}
