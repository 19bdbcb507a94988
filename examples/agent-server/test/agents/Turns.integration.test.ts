/** Turns on a database that refuses, and with a model that does what it must not. */
import { SqliteClient } from "@effect-resilience/node"
import { describe, expect, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { agents } from "../../src/agents/Agents.ts"
import * as Replies from "../../src/agents/replies.ts"
import * as Turns from "../../src/agents/Turns.ts"
import * as FailedTurns from "../../src/letters/FailedTurns.ts"
import * as Spending from "../../src/limits/Spending.ts"
import * as policies from "../../src/policies.ts"
import { ModelRoute, Models } from "../../src/providers/Models.ts"
import * as Requests from "../../src/sessions/Requests.ts"
import * as Sessions from "../../src/sessions/Sessions.ts"
import * as Policies from "../support/policies.ts"

/** What the model does next. */
let thinking: Effect.Effect<string> = Effect.succeed("hello")

const noModel = { down: true }

const models = Layer.effect(
  Models,
  Effect.gen(function*() {
    const languageModel = yield* LanguageModel.make({
      generateText: () => Effect.map(Effect.suspend(() => thinking), (text) => [{ type: "text", text }]),
      streamText: () => Stream.die("not asked for")
    })
    const route = { languageModel, model: "gpt-4o", dependency: "llm-primary" } as const
    const chain = yield* FallbackChain.make(
      "llm",
      [FallbackChain.route("gpt-4o", Layer.succeed(ModelRoute, route), {
        when: () => Effect.sync(() => !noModel.down)
      })],
      policies.chainOptions(yield* policies.Policies.use(({ now }) => now))
    )
    return Models.of({ chain, preferred: "gpt-4o" })
  })
)

const database = SqliteClient.layer({ filename: ":memory:" })

const layer = Turns.layer({ maxRun: Duration.seconds(30) }).pipe(
  Layer.provide([
    models,
    Replies.layer,
    SessionMetrics.layer()
  ]),
  Layer.provide(Spending.layer),
  Layer.provideMerge(Layer.mergeAll(Layer.provideMerge(Requests.layer, Sessions.layer), FailedTurns.layer([]))),
  Layer.provide(Policies.layer),
  Layer.provideMerge(database),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

const [agent] = agents

/** Says something, named or not. */
const say = (message: string, name?: string) =>
  Effect.gen(function*() {
    const turns = yield* Turns.Turns
    const begun = yield* turns.begin({
      agent,
      message,
      sessionId: undefined,
      requestId: "r-1",
      named: name === undefined ? undefined : { caller: "key:alice", name }
    })
    return yield* begun.run()
  })

const given = (what: { readonly down?: boolean; readonly thinks?: Effect.Effect<string> }) =>
  Effect.sync(() => {
    noModel.down = what.down ?? false
    thinking = what.thinks ?? Effect.succeed("hello")
  })

const stored = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const letters = yield* FailedTurns.FailedTurns
  const messages = yield* sql`SELECT seq FROM agent_messages`
  return { messages: messages.length, letters: yield* letters.count() }
})

describe("a turn", () => {
  it.live("that runs into a bug is a letter, too", () =>
    Effect.gen(function*() {
      yield* given({ thinks: Effect.die(new Error("undefined is not a function")) })
      const error = yield* Effect.flip(say("Lisbon"))
      expect(error._tag).toBe("DeadTurn")
      if (error._tag !== "DeadTurn") return
      expect(Cause.hasDies(error.cause)).toBe(true)
      const letters = yield* FailedTurns.FailedTurns
      const letter = yield* letters.get(error.letterId)
      expect(letter.failure.message).toContain("undefined is not a function")
      yield* given({})
      const turns = yield* Turns.Turns
      if (letter.payload._tag === "Success") yield* turns.complete(letter.payload.success)
      const sessions = yield* Sessions.Sessions
      expect((yield* sessions.get(error.sessionId)).messages.map(({ content }) => content)).toEqual(["Lisbon", "hello"])
    }).pipe(Effect.provide(layer)))

  it.live("DL-8 whose letter cannot be stored is not acknowledged, on a disk that is full or read-only", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (
        const { allow, refuse } of [
          { refuse: sql`PRAGMA query_only = ON`, allow: sql`PRAGMA query_only = OFF` },
          // As many pages as there are, and not one more.
          { refuse: sql`PRAGMA max_page_count = 1`, allow: sql`PRAGMA max_page_count = 1000000` }
        ]
      ) {
        for (const what of [{ down: true }, { thinks: Effect.die("a bug") }, {}]) {
          yield* given(what)
          yield* refuse
          const error = yield* Effect.flip(say("x".repeat(20_000)))
          yield* allow
          expect([what, error._tag]).toEqual([what, "StorageError"])
        }
      }
      expect(yield* stored).toEqual({ messages: 0, letters: 0 })
      yield* given({})
      expect((yield* say("Lisbon")).text).toBe("hello")
    }).pipe(Effect.provide(layer)))

  it.live("that got an apology is stored with its letter, or not at all", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* given({ down: true })
      yield* sql`CREATE TRIGGER full BEFORE INSERT ON dead_letter_letters BEGIN SELECT RAISE(ABORT, 'no room'); END`
      expect((yield* Effect.flip(say("Lisbon", "k")))._tag).toBe("StorageError")
      expect(yield* stored).toEqual({ messages: 0, letters: 0 })
      yield* sql`DROP TRIGGER full`
      const apology = yield* say("Lisbon", "k")
      expect([apology.served.route, apology.served.degraded]).toEqual(["static", true])
      expect(yield* stored).toEqual({ messages: 2, letters: 1 })
      // It is what the client got, until the turn is complete.
      expect(yield* say("Lisbon", "k")).toEqual(apology)
      yield* given({})
      const letters = yield* FailedTurns.FailedTurns
      const progress = yield* Stream.runCollect(letters.redrive({}, Turns.complete))
      expect(progress.map(({ outcome }) => outcome)).toEqual(["redriven"])
      const reply = yield* say("Lisbon", "k")
      expect([reply.text, reply.sessionId, reply.letterId]).toEqual(["hello", apology.sessionId, undefined])
      expect(yield* stored).toEqual({ messages: 2, letters: 1 })
    }).pipe(Effect.provide(layer)))

  it.live("that its client left is no letter, and may be begun again at once", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      yield* given({ thinks: Effect.andThen(Deferred.succeed(begun, undefined), Effect.never) })
      const running = yield* Effect.forkChild(say("Lisbon", "k"))
      yield* Deferred.await(begun)
      expect((yield* Effect.flip(say("Lisbon", "k")))._tag).toBe("NameInUse")
      yield* Fiber.interrupt(running)
      yield* given({})
      expect((yield* say("Lisbon", "k")).text).toBe("hello")
      expect(yield* stored).toEqual({ messages: 2, letters: 0 })
    }).pipe(Effect.provide(layer)))
})
