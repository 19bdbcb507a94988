/** A provider that is known to be ill is not asked: what its health checks say moves the chain to the next one, and back. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { admin, chat, json, request, setFaultsOf, unlimited } from "./support/client.ts"
import { type RunningServer, startFresh } from "./support/server.ts"
import { until } from "./support/until.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

const untilState = (server: RunningServer, check: string, state: string) =>
  until(Effect.map(request(server, "/health/ready"), (reply) => json(reply).checks[check]), (is) => is === state)

/** How many calls a provider has had; health checks are none. */
const callsOf = (server: RunningServer, provider: string) =>
  Effect.map(admin(server, "/sim/ledger"), (reply): number => json(reply)[provider].calls)

const quick = { HEALTH_INTERVAL: "100 millis", LOG_LEVEL: "error" }

describe("HP7: the chain moves with the health of a provider", () => {
  it.live("HP7: the first chat already is not tried at a model that is down, and the next ones are when it is well", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quick)
      yield* setFaultsOf(server, { "llm-primary": { down: true } })
      yield* untilState(server, "llm-primary", "Failed")
      for (const message of ["Lisbon", "Porto"]) {
        const reply = yield* chat(server, { message }, unlimited)
        // Whoever reads the reply hears that another one should have given it.
        expect(json(reply).served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 1 })
        expect(reply.headers.get("x-degraded")).toBe("true")
      }
      expect(yield* callsOf(server, "llm-primary")).toBe(0)
      expect(yield* callsOf(server, "llm-secondary")).toBe(2)

      yield* setFaultsOf(server, { "llm-primary": { down: false } })
      yield* untilState(server, "llm-primary", "Healthy")
      const served = Effect.map(chat(server, { message: "Faro" }, unlimited), (reply) => json(reply).served)
      const back = yield* until(served, ({ degraded }) => !degraded)
      expect(back).toEqual({ route: "gpt-4o", degraded: false, attempts: 1 })
    }).pipe(Effect.scoped))

  it.live("HP7: a voice turn asks the backup of a speech service that is down, and the service when it is well", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quick)
      yield* setFaultsOf(server, { "stt-primary": { down: true }, "tts-primary": { down: true } })
      for (const name of ["stt-primary", "tts-primary"]) yield* untilState(server, name, "Failed")
      const stages = Effect.map(say(server, recordingOf("Lisbon"), { headers: unlimited.headers }), (reply) => {
        const { asr, tts } = json(reply).served.stages
        return [asr, tts]
      })
      expect(yield* stages).toEqual([
        { route: "stt-backup", degraded: true, attempts: 1 },
        { route: "tts-backup", degraded: true, attempts: 1 }
      ])
      yield* setFaultsOf(server, { "stt-primary": { down: false }, "tts-primary": { down: false } })
      for (const name of ["stt-primary", "tts-primary"]) yield* untilState(server, name, "Healthy")
      expect(yield* stages).toEqual([
        { route: "stt-primary", degraded: false, attempts: 1 },
        { route: "tts-primary", degraded: false, attempts: 1 }
      ])
    }).pipe(Effect.scoped))
})
