/** What the server thinks its models used, against what their providers would bill. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { admin, chat, events, json, setAllFaults, setFaultsOf, unlimited } from "./support/client.ts"
import { sections } from "./support/policies.ts"
import { type RunningServer, startFresh, unlimitedKey } from "./support/server.ts"

const routes = [
  { route: "gpt-4o", provider: "llm-primary", model: "gpt-4o" },
  { route: "gpt-4o-mini", provider: "llm-secondary", model: "gpt-4o-mini" },
  { route: "claude-haiku", provider: "llm-anthropic", model: "claude-haiku-4-5" }
] as const

const tokensOf = (page: { readonly prompt_tokens: number; readonly completion_tokens: number }) => ({
  prompt: page.prompt_tokens,
  completion: page.completion_tokens
})

/** The tokens of each provider by its own count, and by ours. */
const bothSides = Effect.fnUntraced(function*(server: RunningServer) {
  const ledger = json(yield* admin(server, "/admin/fallback-chains")).fallback_chains[0]
  const billed = json(yield* admin(server, "/sim/ledger"))
  return {
    ours: ledger.routes.map(tokensOf),
    theirs: routes.map(({ provider }) => tokensOf(billed[provider]))
  }
})

/** What was under way may still end; after that both sides must be the same. */
const settled = (server: RunningServer) =>
  Effect.repeat(Effect.andThen(Effect.sleep("50 millis"), bothSides(server)), {
    until: ({ ours, theirs }) => JSON.stringify(ours) === JSON.stringify(theirs),
    times: 100
  }).pipe(Effect.andThen(bothSides(server)))

const many = (server: RunningServer, count: number, stream: (call: number) => boolean) =>
  Effect.forEach(
    Array.from({ length: count }, (_, call) => call),
    (call) => chat(server, { message: `trip ${"abc".repeat(call % 7)} ${call}`, stream: stream(call) }, unlimited),
    { concurrency: 20 }
  )

const eitherWay = (call: number) => call % 2 === 0

/** A client that goes away: from a reply that it waits for, or from a stream after its second delta. */
const leave = (server: RunningServer, call: number) =>
  Effect.promise(async () => {
    const stream = eitherWay(call)
    const leaving = new AbortController()
    const options = {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": unlimitedKey },
      body: JSON.stringify({ message: `leave ${call}`, stream }),
      signal: leaving.signal
    }
    if (!stream) setTimeout(() => leaving.abort(), 100)
    try {
      const reply = await fetch(`${server.origin}/v1/agents/travel_planner/chat`, options)
      let text = ""
      for await (const bytes of reply.body ?? []) {
        text += Buffer.from(bytes).toString()
        if (text.split("event: delta").length > 2) leaving.abort()
      }
    } catch (error) {
      if (!leaving.signal.aborted) throw error
      return true
    }
    return false
  })

describe("FB-7 the ledger", () => {
  it.live(
    "is what the providers bill, for plain, streamed, retried, failed-over and aborted calls",
    () =>
      Effect.gen(function*() {
        // A reply that is not streamed and comes too late is billed, and nobody has read what it used: the time is long
        // enough for that not to happen on a busy machine.
        const server = yield* startFresh({ LOG_LEVEL: "none", MAX_RUN_SECONDS: "20", SIM_SEED: "11" })
        const check = (phase: string) =>
          Effect.map(settled(server), ({ ours, theirs }) => expect(ours, phase).toEqual(theirs))
        const well = {
          latency_ms: 0,
          jitter_ms: 5,
          chunk_ms: 1,
          error_rate: 0,
          rate_limit_rate: 0,
          hang: 0,
          garbage: 0,
          truncate_stream_at: null,
          down: false
        }
        yield* setAllFaults(server, well)
        const replies = yield* many(server, 60, eitherWay)
        yield* check("well")
        // When nothing fails, what clients are told adds up to the same.
        const told = replies.map((reply, call) =>
          eitherWay(call) ? events(reply).at(-1)?.data.usage : json(reply).usage
        )
        const sum = (of: string) => told.reduce((total, usage) => total + usage[of], 0)
        expect((yield* bothSides(server)).theirs[0]).toEqual({
          prompt: sum("prompt_tokens"),
          completion: sum("completion_tokens")
        })

        // Retried, and failed over.
        const flaky = { error_rate: 0.4, rate_limit_rate: 0.1, retry_after: 0.05, garbage: 0.1, hang: 0.02 }
        yield* setFaultsOf(server, { "llm-primary": flaky, "llm-secondary": flaky })
        yield* many(server, 120, eitherWay)
        yield* check("flaky")

        yield* setAllFaults(server, { ...well, down: true })
        yield* setFaultsOf(server, { "llm-anthropic": { down: false, error_rate: 0.3 } })
        yield* many(server, 40, eitherWay)
        yield* check("down")

        // Broken off: after some words, and before the first one, where another model goes on.
        yield* Effect.forEach(
          routes,
          ({ provider }) => admin(server, `/admin/circuit-breakers/${provider}/close`, "POST")
        )
        for (const at of [0, 1, 4, 9]) {
          yield* setAllFaults(server, { ...well, chunk_ms: 50 })
          yield* setFaultsOf(server, { "llm-primary": { truncate_stream_at: at } })
          yield* many(server, 10, () => true)
        }
        yield* setFaultsOf(server, { "llm-primary": { down: true }, "llm-secondary": { truncate_stream_at: 0 } })
        yield* many(server, 10, () => true)
        yield* setFaultsOf(server, { "llm-secondary": { down: true }, "llm-anthropic": { truncate_stream_at: 3 } })
        yield* many(server, 10, () => true)
        yield* check("broken off")

        // Left by their clients. The pauses are long, so that no word is on its way when one goes, on a busy machine either; and
        // short enough for the first word not to be overdue, which would be given up while it is on its way.
        yield* setAllFaults(server, { ...well, latency_ms: 1500, chunk_ms: 2000 })
        const left = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, call) => call),
          (call) => leave(server, call),
          { concurrency: "unbounded" }
        )
        expect(left.every(Boolean)).toBe(true)
        yield* check("left")

        const chain = json(yield* admin(server, "/admin/fallback-chains")).fallback_chains[0]
        const { theirs } = yield* bothSides(server)
        for (const [index, { model, provider, route }] of routes.entries()) {
          const line = chain.routes[index]
          const { completion = 0, prompt = 0 } = theirs[index] ?? {}
          const { price } = sections.models[model] ?? {}
          const cost = (prompt * (price?.input ?? NaN) + completion * (price?.output ?? NaN)) / 1e6
          expect([line.route, line.unpriced_tokens]).toEqual([route, 0])
          expect(line.charges).toBeGreaterThan(10)
          expect(line.cost_usd).toBeCloseTo(cost, 9)
          // The provider's own limit of money a day was charged with it too; it counts in millionths.
          const { rules } = json(yield* admin(server, `/admin/rate-limits?policy=${provider}&key=${provider}`))
          const charged = rules.find(({ rule }: { rule: string }) => rule === "cost")
          expect(charged.limit - charged.remaining).toBeCloseTo(cost, 3)
        }
      }).pipe(Effect.scoped),
    120_000
  )
})
