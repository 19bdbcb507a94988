/**
 * A session as one value: what of it can be read while the database is away, and what the database has yet to be told.
 *
 * It is idempotent to store: each turn has an id of its own, and is stored unless it is there.
 */
import * as Effect from "effect/Effect"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import { Served } from "../sessions/Sessions.ts"

const Turn = Schema.Struct({
  id: Schema.String,
  sessionId: Schema.String,
  agent: Schema.String,
  first: Schema.Boolean,
  said: Schema.String,
  replied: Schema.String,
  served: Served,
  at: Schema.String
})

/** The value. */
export const SessionDocument = Schema.Struct({
  agent: Schema.String,
  /** The place of the message that comes next. */
  next: Schema.Int,
  /** The last ones, oldest first. */
  messages: Schema.Array(Schema.Struct({
    role: Schema.Literals(["user", "assistant"]),
    content: Schema.String,
    at: Schema.String,
    served: Schema.optionalKey(Served)
  })),
  /** Turns that the database may not have, oldest first. */
  waiting: Schema.Array(Turn)
})
export type SessionDocument = typeof SessionDocument.Type

/** How many messages of a session are kept: what a model is told at most. */
export const messagesKept = 40

const prefix = "session/"

/** Where the value is found. */
export const keyOf = (sessionId: string): string => prefix + sessionId

/** The session of a key; `undefined` for a key that is something else's. */
export const sessionOf = (key: string): string | undefined =>
  key.startsWith(prefix) ? key.slice(prefix.length) : undefined

const json = Schema.fromJsonString(SessionDocument)

export const encode: (document: SessionDocument) => string = Schema.encodeSync(json)

const decodeText = Schema.decodeUnknownEffect(json)

/** What does not fit was written by another version of this server, or is damaged. */
export const decode = (
  key: string,
  text: string
): Effect.Effect<SessionDocument, KeyValueStore.KeyValueStoreError> =>
  Effect.mapError(
    decodeText(text),
    (cause) => new KeyValueStore.KeyValueStoreError({ method: "get", key, message: "This is no session", cause })
  )

/** The document with another turn in it, which the database may not have. */
export const withTurn = (
  before: SessionDocument | undefined,
  turn: SessionDocument["waiting"][number]
): SessionDocument => ({
  agent: before?.agent ?? turn.agent,
  next: (before?.next ?? 0) + 2,
  messages: [
    ...before?.messages ?? [],
    { role: "user" as const, content: turn.said, at: turn.at },
    { role: "assistant" as const, content: turn.replied, at: turn.at, served: turn.served }
  ].slice(-messagesKept),
  waiting: [...before?.waiting ?? [], turn]
})
