/** Requests that are sent again under the same key. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chat, events, json, request, setFaults, underWay } from "./support/client.ts"
import { start, startFresh, temporaryFolder, unlimitedKey } from "./support/server.ts"

const named = (name: string, more: Readonly<Record<string, string>> = {}) => ({
  headers: { "idempotency-key": name, ...more }
})

describe("a request that is sent again", () => {
  it.live(
    "under the same key gets the same reply, without asking the model, plain and streamed, after a restart too",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const first = yield* start(folder)
        const reply = yield* chat(first, { message: "Lisbon" }, named("order-1"))
        expect(reply.status).toBe(200)
        expect(reply.headers.get("idempotency-replayed")).toBe(null)
        const again = yield* chat(first, { message: "Lisbon" }, named("\"order-1\""))
        expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([200, "true"])
        expect(json(again)).toEqual(json(reply))
        const inBody = yield* chat(first, { message: "Lisbon", idempotency_key: "order-1" })
        expect(json(inBody)).toEqual(json(reply))
        yield* Effect.promise(() => first.stop("SIGKILL"))

        const second = yield* start(folder)
        yield* setFaults(second, { down: true })
        expect(json(yield* chat(second, { message: "Lisbon" }, named("order-1")))).toEqual(json(reply))
        const streamed = yield* chat(second, { message: "Lisbon", stream: true }, named("order-1"))
        expect(streamed.headers.get("idempotency-replayed")).toBe("true")
        expect(events(streamed).filter(({ event }) => event === "delta").map(({ data }) => data.text).join(""))
          .toBe(json(reply).reply)
        expect(events(streamed).at(-1)).toEqual({ event: "done", data: json(reply) })
        const { messages } = json(yield* request(second, `/v1/sessions/${json(reply).session_id}`))
        expect(messages.length).toBe(2)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("is told so while the first is under way, and refused when it is another one", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* setFaults(server, { latency_ms: 700 })
      const [one, other] = yield* Effect.all([
        chat(server, { message: "Lisbon" }, named("k")),
        Effect.delay(chat(server, { message: "Lisbon" }, named("k")), "200 millis")
      ], { concurrency: 2 })
      expect(one.status).toBe(200)
      expect([other.status, json(other).code, other.headers.get("retry-after")])
        .toEqual([409, "idempotency_key_in_use", "1"])
      for (
        const different of [
          chat(server, { message: "Porto" }, named("k")),
          chat(server, { message: "Lisbon" }, { agent: "viva_examiner", ...named("k") }),
          chat(server, { message: "Lisbon", session_id: json(one).session_id }, named("k"))
        ]
      ) {
        const refused = yield* different
        expect([refused.status, json(refused).code]).toEqual([422, "idempotency_key_reused"])
      }
      // Another caller's key is another key.
      const others = yield* chat(server, { message: "Lisbon" }, named("k", { "x-api-key": unlimitedKey }))
      expect(others.status).toBe(200)
      expect(json(others).session_id).not.toBe(json(one).session_id)
    }).pipe(Effect.scoped), 60_000)

  it.live("must have a key that makes sense", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      for (
        const reply of [
          yield* chat(server, { message: "Lisbon" }, named("")),
          yield* chat(server, { message: "Lisbon" }, named("x".repeat(256))),
          yield* chat(server, { message: "Lisbon" }, named("\"\"")),
          yield* chat(server, { message: "Lisbon", idempotency_key: "é" }),
          yield* chat(server, { message: "Lisbon", idempotency_key: "a" }, named("b"))
        ]
      ) {
        expect([reply.status, json(reply).code, json(reply).errors.length]).toEqual([400, "invalid_request", 1])
      }
      const { session_id } = json(yield* chat(server, { message: "Lisbon" }, named("x".repeat(255))))
      expect((yield* request(server, `/v1/sessions/${session_id}`, { method: "DELETE" })).status).toBe(204)
      // What was deleted is not told again.
      expect(json(yield* chat(server, { message: "Lisbon" }, named("x".repeat(255)))).session_id).not.toBe(session_id)
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "can soon be begun again where its process was killed",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const first = yield* start(folder)
        yield* setFaults(first, { latency_ms: 60_000 })
        yield* underWay(first, Effect.exit(chat(first, { message: "Porto" }, named("cut"))))
        yield* Effect.promise(() => first.stop("SIGKILL"))
        const second = yield* start(folder)
        let reply = yield* chat(second, { message: "Porto" }, named("cut"))
        for (let tries = 0; reply.status === 409 && tries < 30; tries++) {
          yield* Effect.sleep("500 millis")
          reply = yield* chat(second, { message: "Porto" }, named("cut"))
        }
        expect(reply.status).toBe(200)
        const { messages } = json(yield* request(second, `/v1/sessions/${json(reply).session_id}`))
        expect(messages.length).toBe(2)
      }).pipe(Effect.scoped),
    60_000
  )
})
