/** Requests that clients gave a name, on both databases. */
import { SqliteClient } from "@effect-resilience/node"
import { PostgresServer } from "@effect-resilience/testing"
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { type Begun, type Hold, layer, maxNames, type NamedRequest, Requests } from "../../src/sessions/Requests.ts"
import { layer as sessionsLayer } from "../../src/sessions/Sessions.ts"

let made = 0
const request = (name: string, more: Partial<NamedRequest> = {}): NamedRequest => {
  made++
  return {
    caller: "key:alice",
    name,
    asked: ["hello", null],
    turn: { id: `turn-${made}`, sessionId: `s-${made}` },
    ...more
  }
}

const held = (begun: Begun): Hold => {
  if (begun._tag !== "Held") throw new Error(`it was answered: ${begun.reply}`)
  return begun.hold
}

const refusal = <A, E extends { readonly _tag: string }, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), ({ _tag }) => _tag)

const suite = <E>(name: string, database: Layer.Layer<SqlClient.SqlClient, E>) =>
  describe(name, () => {
    it.layer(
      Layer.provideMerge(Layer.provide(layer, sessionsLayer), database),
      { excludeTestServices: true }
    )("named requests", (it) => {
      it.effect("are answered once, and then with the same reply", () =>
        Effect.gen(function*() {
          const requests = yield* Requests
          const hold = held(yield* requests.begin(request("a")))
          expect(yield* refusal(requests.begin(request("a")))).toBe("NameInUse")
          yield* requests.answer(hold, "the reply")
          expect(yield* requests.begin(request("a"))).toEqual({ _tag: "Answered", reply: "the reply" })
          expect(yield* refusal(requests.begin(request("a", { asked: ["bye", null] })))).toBe("NameReused")
          yield* requests.answerTurn(hold.turn.id, "a better reply")
          expect(yield* requests.begin(request("a"))).toEqual({ _tag: "Answered", reply: "a better reply" })
          // Somebody else's name is another one.
          expect((yield* requests.begin(request("a", { caller: "key:bob" })))._tag).toBe("Held")
        }))

      it.effect("that failed are begun again with the ids they had, and know the letter of the try before", () =>
        Effect.gen(function*() {
          const requests = yield* Requests
          const first = held(yield* requests.begin(request("b")))
          yield* requests.letGo(first, "letter-1")
          const second = held(yield* requests.begin(request("b")))
          expect(second).toEqual({ ...first, holder: second.holder, letter: "letter-1" })
          // Who has lost it cannot answer, nor let go of what another has.
          expect(yield* refusal(requests.answer(first, "late"))).toBe("NameInUse")
          yield* requests.letGo(first, undefined)
          expect(yield* refusal(requests.begin(request("b")))).toBe("NameInUse")
          yield* requests.answer(second, "the reply")
        }))

      it.effect("one of many at once holds it", () =>
        Effect.gen(function*() {
          const requests = yield* Requests
          const all = yield* Effect.forEach(
            Array.from({ length: 20 }, () => request("c")),
            (each) => Effect.result(requests.begin(each)),
            { concurrency: "unbounded" }
          )
          expect(all.filter(({ _tag }) => _tag === "Success").length).toBe(1)
        }))

      it.effect("an answer in a transaction that does not commit is none", () =>
        Effect.gen(function*() {
          const requests = yield* Requests
          const sql = yield* SqlClient.SqlClient
          const hold = held(yield* requests.begin(request("d")))
          yield* Effect.exit(sql.withTransaction(Effect.andThen(requests.answer(hold, "lost"), Effect.die("killed"))))
          yield* requests.letGo(hold, undefined)
          expect((yield* requests.begin(request("d")))._tag).toBe("Held")
        }))
    })
  })

suite("SQLite", SqliteClient.layer({ filename: ":memory:" }))

suite(
  "PostgreSQL",
  Layer.unwrap(
    Effect.map(PostgresServer.PostgresServer, ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
  ).pipe(Layer.provide(PostgresServer.layer))
)

describe("in time", () => {
  const store = Layer.provideMerge(
    Layer.provide(layer, sessionsLayer),
    SqliteClient.layer({ filename: ":memory:" })
  )

  it.effect("a holder that is not heard of for 10 seconds loses it, one that works does not", () =>
    Effect.gen(function*() {
      const requests = yield* Requests
      const hold = held(yield* requests.begin(request("a")))
      yield* TestClock.adjust("9 seconds")
      expect(yield* refusal(requests.begin(request("a")))).toBe("NameInUse")
      yield* TestClock.adjust("2 seconds")
      const other = held(yield* requests.begin(request("a")))
      expect(other.turn).toEqual(hold.turn)
      const working = yield* Effect.forkChild(requests.holding(other)(Effect.sleep("1 minute")))
      for (let seconds = 0; seconds < 30; seconds += 3) yield* TestClock.adjust("3 seconds")
      expect(yield* refusal(requests.begin(request("a")))).toBe("NameInUse")
      working.interruptUnsafe()
    }).pipe(Effect.provide(store)))

  it.effect("replies are kept for 24 hours, and at most 10,000 for each caller", () =>
    Effect.gen(function*() {
      const requests = yield* Requests
      const sql = yield* SqlClient.SqlClient
      yield* requests.answer(held(yield* requests.begin(request("old"))), "old")
      yield* TestClock.adjust("23 hours")
      expect((yield* requests.begin(request("old")))._tag).toBe("Answered")
      yield* TestClock.adjust("1 hour")
      expect((yield* requests.begin(request("old")))._tag).toBe("Held")

      const now = yield* Clock.currentTimeMillis
      yield* sql.withTransaction(Effect.forEach(
        Array.from({ length: maxNames }, (_, i) => i),
        (i) =>
          sql`INSERT INTO agent_requests (caller, name, fingerprint, turn, session_id, holder, held_until, reply, expires_at)
            VALUES ('key:carol', ${`r${i}`}, '', ${`t${i}`}, '', '', 0, 'reply', ${now + 1000 + i})`,
        { discard: true }
      ))
      yield* requests.begin(request("one more", { caller: "key:carol" }))
      const kept = yield* sql<{ name: string }>`SELECT name FROM agent_requests WHERE caller = 'key:carol'`
      expect(kept.length).toBe(maxNames)
      expect(kept.some(({ name }) => name === "r0")).toBe(false)
      expect(kept.some(({ name }) => name === "r1")).toBe(true)
      expect(kept.some(({ name }) => name === "one more")).toBe(true)
    }).pipe(Effect.provide(store)))
})
