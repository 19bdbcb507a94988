/**
 * The sessions of a database that other instances share, with something to go on with while it is away.
 *
 * While it is there, everything is the database's, as it would be without this. While it is away:
 *
 * - the last messages of a session are read from a copy: of Redis where there is one, else of what this process has seen;
 * - a turn is acknowledged when it is in the journal on this machine's disk, and is stored in the database once that is back,
 *   in order and once, by this process or the next one with the same directory;
 * - what needs the database itself fails as before: requests with an `Idempotency-Key`, dead letters, sessions of which
 *   there is no copy.
 *
 * When turns are `"refused"` instead, nothing is written while the database is away. A copy may miss what another instance
 * stored last.
 */
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as SqlError from "effect/sql/SqlError"
import { type Session, SessionMissing, Sessions, StorageError, type Turn } from "../sessions/Sessions.ts"
import { decode, encode, keyOf, type SessionDocument, withTurn } from "./SessionDocument.ts"
import * as SessionsAsStore from "./sessionsAsStore.ts"

type Service = Sessions["Service"]

/** What becomes of turns while the database is away. */
export type WhileAway = "journal" | "refuse"

/** How the stores are chained. */
export interface Options {
  readonly whileAway: WhileAway
  /** Keeps the journal and the copies. */
  readonly journal: Layer.Layer<KeyValueStore.KeyValueStore, SqlError.SqlError>
}

/** The turns that are stored with one transaction; in `"journal"` they do not go to the database. */
interface Unit {
  readonly to: "database" | "journal"
  readonly turns: Array<Turn & { readonly at: string }>
}

const CurrentUnit = Context.Reference<Unit | undefined>("agent-server/stores/FallbackSessions/CurrentUnit", {
  defaultValue: () => undefined
})

const now = Effect.map(Clock.currentTimeMillis, (millis) => DateTime.formatIso(DateTime.makeUnsafe(millis)))

/** Only a database that is away is a reason to do without it: a row that is broken is not. */
const isAway = (error: unknown): Effect.Effect<boolean> =>
  !(error instanceof StorageError) ? Effect.succeed(false) : Effect.map(
    Failure.classify(error.cause),
    ({ kind, scope }) => scope === "dependency" && (kind === "Transient" || kind === "Timeout" || kind === "Overloaded")
  )

const make = Effect.gen(function*() {
  const database = yield* Sessions
  const store = yield* KeyValueStore.KeyValueStore
  const { state } = yield* FallbackChain.FallbackStorage

  /** Asks the database, or what stands in for it while that is away or has writes to catch up on. */
  const orElse = <A, E, R, B, E2, R2>(
    direct: Effect.Effect<A, E, R>,
    instead: Effect.Effect<B, E2, R2>
  ): Effect.Effect<A | B, E | E2, R | R2> =>
    Effect.flatMap(state, ({ mode }): Effect.Effect<A | B, E | E2, R | R2> =>
      mode !== "Primary"
        ? instead
        : Effect.catch(direct, (error) =>
          Effect.flatMap(isAway(error), (away): Effect.Effect<B, E | E2, R2> =>
            away ? instead : Effect.fail(error))))

  const failing = <A>(
    self: Effect.Effect<A, KeyValueStore.KeyValueStoreError>
  ): Effect.Effect<A, StorageError> => Effect.mapError(self, (cause) => new StorageError({ cause }))

  const find = (id: string): Effect.Effect<SessionDocument | undefined, StorageError> =>
    failing(Effect.flatMap(
      store.get(keyOf(id)),
      (text) => text === undefined ? Effect.undefined : decode(keyOf(id), text)
    ))

  const copyOf = (id: string): Effect.Effect<SessionDocument, SessionMissing | StorageError> =>
    Effect.flatMap(
      find(id),
      (found) => found === undefined ? Effect.fail(new SessionMissing({ id })) : Effect.succeed(found)
    )

  /** The copies get what the database has. Without them an outage is harder, and this turn is as well as without it. */
  const copy = (id: string): Effect.Effect<void> =>
    Effect.ignore(
      Effect.flatMap(find(id), (found) =>
        found === undefined ? Effect.void : failing(store.set(keyOf(id), encode({ ...found, waiting: [] }))))
    )

  const journal = (turn: Unit["turns"][number]): Effect.Effect<void, StorageError> =>
    Effect.flatMap(
      turn.first ? Effect.undefined : find(turn.sessionId),
      (before) => failing(store.set(keyOf(turn.sessionId), encode(withTurn(before, turn))))
    )

  const inDatabase = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const turns: Unit["turns"] = []
      const running = Effect.provideService(self, CurrentUnit, { to: "database", turns })
      return Effect.tap(database.atomically(running), () => Effect.forEach(turns, ({ sessionId }) => copy(sessionId)))
    })

  /** The journal comes last: what else was to be stored with the turn has failed by then, if it needs the database. */
  const inJournal = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const turns: Unit["turns"] = []
      const running = Effect.provideService(self, CurrentUnit, { to: "journal", turns })
      return Effect.tap(running, () => Effect.forEach(turns, journal))
    })

  const atomically: Service["atomically"] = (self) => orElse(inDatabase(self), inJournal(self))

  const append: Service["append"] = (turn) =>
    Effect.flatMap(CurrentUnit, (current): ReturnType<Service["append"]> => {
      if (current === undefined) return atomically(append(turn))
      return Effect.flatMap(now, (at) => {
        const told = { ...turn, at: turn.at ?? at }
        const stored = current.to === "database"
          ? database.append(told)
          : turn.first
          ? Effect.void
          : copyOf(turn.sessionId)
        return Effect.andThen(stored, Effect.sync(() => void current.turns.push(told)))
      })
    })

  return Sessions.of({
    newId: database.newId,
    agentOf: (id) => orElse(database.agentOf(id), Effect.map(copyOf(id), ({ agent }) => agent)),
    recent: (id, limit, before) =>
      orElse(
        database.recent(id, limit, before),
        Effect.map(copyOf(id), ({ messages, next }) => {
          const later = Math.max(0, next - (before ?? next))
          return { messages: messages.slice(0, Math.max(0, messages.length - later)).slice(-limit), next: next - later }
        })
      ),
    append,
    servedIn: database.servedIn,
    replaceReply: (turn) => Effect.tap(database.replaceReply(turn), () => copy(turn.sessionId)),
    atomically,
    get: (id) =>
      orElse(database.get(id), Effect.map(copyOf(id), ({ agent, messages }): Session => ({ id, agent, messages }))),
    delete: (id) =>
      orElse(
        Effect.tap(database.delete(id), () => Effect.ignore(store.remove(keyOf(id)))),
        Effect.andThen(copyOf(id), failing(store.remove(keyOf(id))))
      )
  })
})

/** Puts the chain in front of the program's sessions. */
export const layer = (
  options: Options
): Layer.Layer<Sessions, KeyValueStore.KeyValueStoreError | SqlError.SqlError, Sessions> => {
  const chain = FallbackChain.storage({
    primary: Layer.effect(KeyValueStore.KeyValueStore, Effect.map(Sessions, SessionsAsStore.make)),
    secondary: options.journal,
    writes: options.whileAway === "journal" ? "journal" : "readOnly",
    timeout: "3 seconds",
    // What is not in a copy waits for it.
    recheck: Retry.backoff({ base: "500 millis", cap: "5 seconds", jitter: "none" })
  })
  return Layer.provide(Layer.effect(Sessions, make), chain)
}
