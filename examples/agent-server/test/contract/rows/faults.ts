/** `/sim/faults` and `/sim/ledger`. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json } from "../../support/client.ts"
import { providers } from "../../support/simulated.ts"
import { askAsOperator, refused, replied, say } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { broken } from "../broken.ts"
import type { Section } from "../kit.ts"

const faults = Effect.map(askAsOperator("GET /sim/faults"), (reply) => replied(reply, 200, Bodies.AllFaults))

export const simulated: Section = {
  "GET /sim/faults has all seven providers in their order, with every fault": Effect.gen(function*() {
    expect(Object.keys(json(yield* askAsOperator("GET /sim/faults")))).toEqual(providers)
    yield* faults
  }),

  "PUT /sim/faults merges what it is given, of each fault of each provider": broken(
    {},
    Effect.gen(function*() {
      const all = {
        latency_ms: 1,
        jitter_ms: 2,
        chunk_ms: 3,
        error_rate: 0.25,
        status: 503,
        rate_limit_rate: 0.5,
        retry_after: 9,
        hang: 0.125,
        garbage: true,
        truncate_stream_at: 4,
        down: true
      }
      for (const provider of providers) {
        for (const [fault, value] of Object.entries(all)) {
          const before = yield* faults
          const after = replied(
            yield* askAsOperator("PUT /sim/faults", { body: { [provider]: { [fault]: value } } }),
            200,
            Bodies.AllFaults
          )
          expect(after).toEqual({ ...before, [provider]: { ...before[provider], [fault]: value } })
        }
      }
      const whole = yield* faults
      expect(json(yield* askAsOperator("PUT /sim/faults", { body: {} }))).toEqual(whole)
    })
  ),

  "PUT /sim/faults names all that makes no sense, and changes nothing then": Effect.gen(function*() {
    const before = yield* faults
    const body = {
      "llm-primary": { error_rate: 2, down: true },
      "tts-backup": { status: 200, hagn: true },
      "llm-third": {}
    }
    const { errors } = refused(yield* askAsOperator("PUT /sim/faults", { body }), 400, "invalid_request")
    expect(errors.map(({ path }: { path: string }) => path).toSorted()).toEqual([
      "llm-primary.error_rate",
      "llm-third",
      "tts-backup.hagn",
      "tts-backup.status"
    ])
    expect(yield* faults).toEqual(before)
    refused(
      yield* askAsOperator("PUT /sim/faults", { body: "x", headers: { "content-type": "text/plain" } }),
      415,
      "unsupported_media_type"
    )
    refused(yield* askAsOperator("PUT /sim/faults", { body: "x".repeat(300_000) }), 413, "body_too_large")
  }),

  "GET /sim/ledger has what each provider would bill": Effect.gen(function*() {
    const ledger = Effect.map(askAsOperator("GET /sim/ledger"), (reply) => replied(reply, 200, Bodies.Ledger))
    const before = yield* ledger
    const { usage } = replied(yield* say({ message: "Lisbon" }), 200, Bodies.ChatReply)
    const after = yield* ledger
    expect([
      (after["llm-primary"]?.calls ?? 0) - (before["llm-primary"]?.calls ?? 0),
      (after["llm-primary"]?.prompt_tokens ?? 0) - (before["llm-primary"]?.prompt_tokens ?? 0)
    ]).toEqual([1, usage.prompt_tokens])
  })
}
