/** The variables that say where data is, and what becomes of it. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { json } from "../../support/client.ts"
import { start, startFresh, temporaryFolder } from "../../support/server.ts"
import { providers } from "../../support/simulated.ts"
import { until } from "../../support/until.ts"
import { askOf } from "../ask.ts"
import { operator } from "../kit.ts"
import { chatOf, type Effects } from "./kit.ts"

export const effects: Effects = {
  "where data is": {
    variables: ["DATA_DIR", "METRICS_SAVE_PATH", "LOG_FILE", "LOG_LEVEL", "LOG_FORMAT", "DLQ_ENCRYPTION_KEYS"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(join(folder, "data"), {
        METRICS_SAVE_PATH: "measures/turns.jsonl",
        LOG_FILE: join(folder, "server.log"),
        LOG_LEVEL: "debug",
        LOG_FORMAT: "text",
        LOG_DEBUG_SHARE: "1",
        DLQ_ENCRYPTION_KEYS: `one:${"ab".repeat(32)}`
      })
      yield* chatOf(server)
      yield* askOf(server, "GET /livez", { headers: { "x-request-id": "contract-probe" } })
      yield* askOf(server, "PUT /sim/faults", {
        body: Object.fromEntries(providers.map((name) => [name, { down: true }])),
        headers: operator
      })
      const { letter_id } = json(yield* chatOf(server, {}, "sealed words"))
      const exported = yield* askOf(server, "GET /admin/dlq/export", { headers: operator })
      expect([typeof letter_id, exported.text.includes("sealed words")]).toEqual(["string", false])
      yield* Effect.promise(() => server.stop("SIGTERM"))
      const read = (...path: ReadonlyArray<string>) => readFileSync(join(folder, ...path), "utf8")
      expect(read("data", "agent.sqlite").startsWith("SQLite format 3")).toBe(true)
      expect(read("data", "measures", "turns.jsonl").trimEnd().split("\n").length).toBeGreaterThan(0)
      expect(read("server.log")).toMatch(/^\S+ DEBUG request .*contract-probe/m)
    })
  },

  "DLQ_AUTO_REDRIVE_SECONDS completes failed turns by itself, HEALTH_INTERVAL asks again, MAX_RUN_SECONDS cuts": {
    variables: ["DLQ_AUTO_REDRIVE_SECONDS", "HEALTH_INTERVAL", "MAX_RUN_SECONDS"],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        DLQ_AUTO_REDRIVE_SECONDS: "0.2",
        HEALTH_INTERVAL: "0.2",
        MAX_RUN_SECONDS: "1"
      })
      const hang = (hang: boolean) =>
        askOf(server, "PUT /sim/faults", {
          body: { "llm-primary": { hang }, "llm-secondary": { hang }, "llm-anthropic": { hang } },
          headers: operator
        })
      yield* hang(true)
      const { letter_id } = json(yield* chatOf(server))
      yield* hang(false)
      yield* until(
        askOf(server, `GET /admin/dlq/${letter_id}`, { headers: operator }),
        (reply) => json(reply).state === "Archived"
      )
      const lastCheck = Effect.map(
        askOf(server, "GET /api/v1/monitoring/health/services"),
        (reply): string => json(reply).services[0].last_check
      )
      const first = yield* lastCheck
      yield* until(lastCheck, (now) => now !== first)
    })
  }
}
