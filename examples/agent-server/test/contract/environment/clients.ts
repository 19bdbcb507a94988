/** The variables that say who may ask, and what. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { start, startFresh, temporaryFolder } from "../../support/server.ts"
import { recordingOf } from "../../support/wav.ts"
import { askOf } from "../ask.ts"
import { chatOf, type Effects, refusal } from "./kit.ts"

export const effects: Effects = {
  "where the server listens": {
    variables: ["HOST", "PORT"],
    row: Effect.gen(function*() {
      const port = String(yield* RealServer.freePort)
      const { origin } = yield* startFresh({ HOST: "127.0.0.2", PORT: port })
      expect(origin).toBe(`http://127.0.0.2:${port}`)
      expect(yield* refusal({ PORT: "0", HOST: "192.0.2.1", DATA_DIR: yield* temporaryFolder })).toEqual([
        "HOST: this machine has no address \"192.0.2.1\""
      ])
    })
  },

  "who may ask, from where, and how much": {
    variables: [
      "API_KEYS",
      "ADMIN_KEY",
      "CORS_ORIGINS",
      "TRUSTED_PROXIES",
      "MAX_MESSAGE_CHARS",
      "MAX_BODY_BYTES",
      "MAX_AUDIO_BYTES"
    ],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        API_KEYS: "me:contract-key-me:free",
        ADMIN_KEY: "contract-admin",
        CORS_ORIGINS: "https://app.example.com",
        TRUSTED_PROXIES: "127.0.0.1/32",
        MAX_MESSAGE_CHARS: "5",
        MAX_BODY_BYTES: "100",
        MAX_AUDIO_BYTES: "1000"
      })
      const mine = { "x-api-key": "contract-key-me", origin: "https://app.example.com" }
      const agents = yield* askOf(server, "GET /v1/agents", { headers: mine })
      expect([agents.headers.get("x-ratelimit-limit"), agents.headers.get("access-control-allow-origin")]).toEqual([
        "60",
        "https://app.example.com"
      ])
      const stranger = yield* askOf(server, "GET /v1/agents", {
        headers: { ...mine, origin: "https://evil.example.com" }
      })
      expect(stranger.headers.get("access-control-allow-origin")).not.toBe("https://evil.example.com")
      const remaining = (address: string) =>
        Effect.map(
          askOf(server, "GET /v1/agents", { headers: { "x-api-key": "", "x-forwarded-for": address } }),
          ({ headers }) => headers.get("x-ratelimit-remaining")
        )
      expect(yield* Effect.all([remaining("198.51.100.1"), remaining("198.51.100.2")])).toEqual(["59", "59"])
      expect((yield* askOf(server, "GET /sim/faults", { headers: { "x-api-key": "contract-admin" } })).status).toBe(200)
      expect((yield* askOf(server, "GET /sim/faults", { headers: mine })).status).toBe(403)
      const limit = Effect.map((reply: { readonly text: string }) => JSON.parse(reply.text).limit)
      expect(yield* limit(chatOf(server, mine, "123456"))).toBe(5)
      expect(yield* limit(chatOf(server, mine, "x".repeat(200)))).toBe(100)
      const recording = { body: recordingOf("hi"), headers: mine }
      expect(yield* limit(askOf(server, "POST /v1/speech_to_speech", recording))).toBe(1000)
    })
  },

  "which policies are in force": {
    variables: ["POLICIES"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const file = join(folder, "mine.yaml")
      const text = readFileSync(new URL("../../../policies.yaml", import.meta.url), "utf8")
      writeFileSync(file, text.replace("perIp: 60", "perIp: 61"))
      const server = yield* start(folder, { POLICIES: file })
      const reply = yield* askOf(server, "GET /v1/agents", { headers: { "x-api-key": "" } })
      expect(reply.headers.get("x-ratelimit-limit")).toBe("61")
      writeFileSync(file, text.replace("perIp: 60", "perIp: -1"))
      const [line] = yield* refusal({ PORT: "0", DATA_DIR: folder, POLICIES: file })
      expect(line).toContain("POLICIES: ")
    })
  }
}
