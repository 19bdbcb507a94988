/** `GET /admin/signals`: what happens, told as it happens. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { read, type ServerSentEvent } from "../src/console/serverSentEvents.ts"
import { admin, request, setAllFaults, unlimited } from "./support/client.ts"
import { adminKey, type RunningServer, startFresh } from "./support/server.ts"

/** The events of the stream, from when the server has begun it. */
const follow = (server: RunningServer) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${server.origin}/admin/signals`, { headers: { "x-api-key": adminKey }, signal })
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/)
    expect(response.headers.get("cache-control")).toBe("no-store")
    if (response.body === null) throw new Error("the reply has no body")
    return read(response.body)
  })

/** The next transition, which is `any` like all JSON here. Health tells of itself in between. */
const nextTransition = async (signals: AsyncGenerator<ServerSentEvent>): Promise<any> => {
  for (;;) {
    const { value } = await signals.next()
    expect(value.event).toBe("signal")
    const data = JSON.parse(value.data)
    if (data.signal === "CircuitTransition") return data
  }
}

describe("signals", () => {
  it.live("are for the operator", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      expect((yield* request(server, "/admin/signals")).status).toBe(401)
      expect((yield* request(server, "/admin/signals", unlimited)).status).toBe(403)
    }).pipe(Effect.scoped), 60_000)

  it.live("tell what happens, and hold no shutdown up", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", DRAIN_TIMEOUT: "20" })
      const signals = yield* follow(server)
      for (const command of ["open", "reset"]) {
        yield* admin(server, `/admin/circuit-breakers/llm-primary/${command}`, "POST")
      }
      for (const [from, to] of [["Closed", "ForcedOpen"], ["ForcedOpen", "Closed"]]) {
        expect(yield* Effect.promise(() => nextTransition(signals))).toMatchObject({
          at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          signal: "CircuitTransition",
          fields: { name: "llm-primary", from, to }
        })
      }
      const ended = server.stop("SIGTERM")
      // A clean end and no error: the server had nothing more to say.
      const rest: Array<string> = []
      yield* Effect.promise(async () => {
        for await (const { event } of signals) rest.push(event)
      })
      expect(rest.filter((event) => event !== "signal")).toEqual([])
      expect((yield* Effect.promise(() => ended)).code).toBe(0)
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "have a stream that is open before there is anything to tell, and streams that stay open in silence",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "90" })
        const signals = yield* Effect.promise((signal) =>
          fetch(`${server.origin}/admin/signals`, { headers: { "x-api-key": adminKey }, signal })
        )
        const first = yield* Effect.promise(async () => {
          const reader = signals.body?.getReader()
          const { value } = await reader?.read() ?? {}
          await reader?.cancel()
          return new TextDecoder().decode(value)
        })
        expect(first).toMatch(/^:\n\n/)
        // A chat whose providers hang has nothing to say, and may have more than a minute for it.
        yield* setAllFaults(server, { hang: true })
        const blocks = yield* Effect.promise(async (signal) => {
          const { body } = await fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
            method: "POST",
            headers: { "content-type": "application/json", ...unlimited.headers },
            body: JSON.stringify({ message: "Two days in Rome", stream: true }),
            signal
          })
          let text = ""
          for await (const chunk of body ?? []) {
            text += new TextDecoder().decode(chunk)
            if (text.includes("\n:\n\n")) break
          }
          return text.split("\n\n")
        })
        expect(blocks[0]).toMatch(/^event: step\n/)
        expect(blocks).toContain(":")
      }).pipe(Effect.scoped),
    60_000
  )
})
