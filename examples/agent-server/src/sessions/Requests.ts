/**
 * Requests that clients gave a name, an `Idempotency-Key`, so that sending one again does not do it again.
 *
 * A name belongs to its caller, and to what was asked with it first. Who begins a request holds it, for a few seconds at
 * a time, so that one whose process dies can soon be begun again. Its turn and session keep their ids from try to try. Once it is
 * answered, the same reply is there for a day, also after a restart.
 *
 * A try that fails answers nothing: the client may send the request again, and does the same turn.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { createHash } from "node:crypto"
import { failing, type Sessions, type StorageError } from "./Sessions.ts"

/** A request with a name. */
export interface NamedRequest {
  /** Names mean nothing between callers. */
  readonly caller: string
  readonly name: string
  /** What is asked for. The same name with something else is a mistake of the client. */
  readonly asked: ReadonlyArray<string | null>
  /** Ids for its turn, should this be the first try. */
  readonly turn: TurnIds
}

/** Which turn it is, and of which session. */
export interface TurnIds {
  readonly id: string
  readonly sessionId: string
}

/** The right to do a request, until somebody else has it. */
export interface Hold {
  readonly caller: string
  readonly name: string
  readonly holder: string
  readonly turn: TurnIds
  /** The dead letter that an earlier try left. */
  readonly letter: string | undefined
}

/** The request was answered already, or is the holder's to do. */
export type Begun =
  | { readonly _tag: "Answered"; readonly reply: string }
  | { readonly _tag: "Held"; readonly hold: Hold }

/** The caller has given this name to another request. */
export class NameReused extends Data.TaggedError("NameReused") {
  override readonly message = "The key was used with another request"
}

/** Somebody is doing the request just now. */
export class NameInUse extends Data.TaggedError("NameInUse") {
  override readonly message = "The request of this key is being answered"
}

/** The named requests of the last day. */
export class Requests extends Context.Service<Requests, {
  readonly begin: (request: NamedRequest) => Effect.Effect<Begun, NameReused | NameInUse | StorageError>
  /** Keeps the request held while `self` runs. */
  readonly holding: (hold: Hold) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Stores its reply. To be done in one transaction with what the reply is about. */
  readonly answer: (hold: Hold, reply: string) => Effect.Effect<void, NameInUse | StorageError>
  /** Stores a reply in its place, by the turn, for whoever sends the request again. */
  readonly answerTurn: (turnId: string, reply: string) => Effect.Effect<void, StorageError>
  /** A try has failed, and left a dead letter or none: it may be begun again at once. */
  readonly letGo: (hold: Hold, letter: string | undefined) => Effect.Effect<void>
}>()("agent-server/sessions/Requests") {}

/** How long a reply is kept after it was given, and a request that was never answered after it was sent last. */
const keptMillis = Duration.toMillis("24 hours")

/** How long a holder that is not heard of is believed in, and how often it is heard of. */
const heldMillis = 10_000
const renewing = Schedule.spaced("3 seconds")

/** Of one caller. The oldest replies go first. */
export const maxNames = 10_000

interface Row {
  readonly fingerprint: string
  readonly turn: string
  readonly session_id: string
  readonly holder: string
  /** A string where the database's integers are larger than a number can say. */
  readonly held_until: number | string
  readonly letter: string | null
  readonly reply: string | null
}

const fingerprintOf = (asked: NamedRequest["asked"]): string =>
  createHash("sha256").update(JSON.stringify(asked)).digest("hex")

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const forget = (now: number) => sql`DELETE FROM agent_requests WHERE expires_at <= ${now}`

  const forgetOldest = (caller: string) =>
    sql`DELETE FROM agent_requests WHERE caller = ${caller} AND name IN (
      SELECT name FROM agent_requests WHERE caller = ${caller} AND reply IS NOT NULL
      ORDER BY expires_at DESC LIMIT 100 OFFSET ${maxNames - 1}
    )`

  const insert = (request: NamedRequest, fingerprint: string, holder: string, now: number) =>
    sql`INSERT INTO agent_requests ${
      sql.insert({
        caller: request.caller,
        name: request.name,
        fingerprint,
        turn: request.turn.id,
        session_id: request.turn.sessionId,
        holder,
        held_until: now + heldMillis,
        letter: null,
        reply: null,
        expires_at: now + keptMillis
      })
    } ON CONFLICT (caller, name) DO NOTHING RETURNING name`

  const find = ({ caller, name }: NamedRequest) =>
    sql<Row>`SELECT fingerprint, turn, session_id, holder, held_until, letter, reply FROM agent_requests
      WHERE caller = ${caller} AND name = ${name}`

  const takeOver = ({ caller, name }: NamedRequest, from: string, to: string, now: number) =>
    sql`UPDATE agent_requests SET holder = ${to}, held_until = ${now + heldMillis}, expires_at = ${now + keptMillis}
      WHERE caller = ${caller} AND name = ${name} AND holder = ${from} RETURNING name`

  const hold = ({ caller, holder, name }: Hold, until: number) =>
    sql`UPDATE agent_requests SET held_until = ${until}
      WHERE caller = ${caller} AND name = ${name} AND holder = ${holder}`

  const begin = Effect.fnUntraced(function*(request: NamedRequest) {
    const { caller, name, turn } = request
    const now = yield* Clock.currentTimeMillis
    const holder = SecureRandom.uuidV4Unsafe()
    const fingerprint = fingerprintOf(request.asked)
    yield* forget(now)
    if ((yield* insert(request, fingerprint, holder, now)).length > 0) {
      yield* forgetOldest(caller)
      return held({ caller, name, holder, turn, letter: undefined })
    }
    const [row] = yield* find(request)
    if (row === undefined) return yield* new NameInUse()
    if (row.fingerprint !== fingerprint) return yield* new NameReused()
    if (row.reply !== null) return answered(row.reply)
    if (Number(row.held_until) > now) return yield* new NameInUse()
    if ((yield* takeOver(request, row.holder, holder, now)).length === 0) return yield* new NameInUse()
    return held({
      caller,
      name,
      holder,
      turn: { id: row.turn, sessionId: row.session_id },
      letter: row.letter ?? undefined
    })
  })

  return Requests.of({
    begin: (request) => failing(sql.withTransaction(begin(request))),

    holding: (mine) => {
      const renewed = Effect.flatMap(Clock.currentTimeMillis, (now) => hold(mine, now + heldMillis))
      // Whoever cannot renew loses the race when it comes to storing the reply.
      return (self) =>
        Effect.raceFirst(
          self,
          Effect.andThen(Effect.schedule(Effect.ignore(renewed), renewing), Effect.never)
        )
    },

    answer: (mine, reply) =>
      failing(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const rows = yield* sql`UPDATE agent_requests SET reply = ${reply}, letter = NULL, expires_at = ${
          now + keptMillis
        }
          WHERE caller = ${mine.caller} AND name = ${mine.name} AND holder = ${mine.holder} RETURNING name`
        if (rows.length === 0) return yield* new NameInUse()
      })),

    answerTurn: (turnId, reply) =>
      failing(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        yield* sql`UPDATE agent_requests SET reply = ${reply}, expires_at = ${now + keptMillis} WHERE turn = ${turnId}`
      })),

    letGo: (mine, letter) =>
      Effect.ignore(
        sql`UPDATE agent_requests SET held_until = 0, letter = ${letter ?? mine.letter ?? null}
          WHERE caller = ${mine.caller} AND name = ${mine.name} AND holder = ${mine.holder}`
      )
  })
})

const held = (hold: Hold): Begun => ({ _tag: "Held", hold })
const answered = (reply: string): Begun => ({ _tag: "Answered", reply })

/** Keeps them beside the sessions, whose tables must be there. */
export const layer: Layer.Layer<Requests, never, Sessions | SqlClient.SqlClient> = Layer.effect(Requests, make)
