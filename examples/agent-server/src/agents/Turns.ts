/**
 * A turn: the user says something, the agent replies, and both are stored.
 *
 * A reply is given to the client as done only after it is stored, so what a client knows of survives a crash. A turn whose
 * client goes away leaves nothing behind. One that fails for good, or gets no more than an apology, is kept as a dead
 * letter before its client hears of it, and can be completed later, once.
 */
import type * as Deadline from "effect-resilience/Deadline"
import { SessionMetrics } from "effect-resilience/SessionMetrics"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Attempts from "../letters/attempts.ts"
import { DeadTurn, isWorthKeeping } from "../letters/DeadTurn.ts"
import { type FailedTurn, FailedTurns, keep } from "../letters/FailedTurns.ts"
import { Spending } from "../limits/Spending.ts"
import * as TurnMeasures from "../measures/TurnMeasures.ts"
import * as policies from "../policies.ts"
import { Models } from "../providers/Models.ts"
import { type Hold, NameInUse, type NameReused, Requests, type TurnIds } from "../sessions/Requests.ts"
import { type SessionMissing, Sessions, StorageError } from "../sessions/Sessions.ts"
import * as Spans from "../telemetry/spans.ts"
import type * as Agents from "./Agents.ts"
import { type Answer, ask, type AskError } from "./ask.ts"
import type { Services } from "./askModels.ts"
import { type CompleteError, completeTurn } from "./completeTurn.ts"
import { nothingSaid, promptOf } from "./prompt.ts"
import { Replies } from "./replies.ts"
import * as TurnOrder from "./TurnOrder.ts"
import { toReply, type TurnReply } from "./TurnReply.ts"

/** What a client asks for: something to say to an agent, and the session to go on with if there is one. */
export interface TurnRequest {
  readonly agent: Agents.Agent
  readonly message: string
  readonly sessionId: string | undefined
  /** The id of the session that begins, where it was given away before. */
  readonly newSessionId?: string | undefined
  /** Under which the log tells more. */
  readonly requestId?: string | undefined
  /** What its caller calls it, so that it can be sent again without being done again. */
  readonly named?: { readonly caller: string; readonly name: string } | undefined
}

/** Hears of a turn while it happens. */
interface TurnListener {
  readonly onThinking: Effect.Effect<void>
  readonly onDelta: (text: string) => Effect.Effect<void>
}

/** The session belongs to another agent. */
export class WrongAgent extends Data.TaggedError("WrongAgent")<{
  readonly sessionId: string
  readonly agent: string
}> {}

/** Why a turn cannot begin. */
export type BeginError = SessionMissing | WrongAgent | StorageError | NameInUse | NameReused

/** Why a turn that began did not end well. */
export type TurnError =
  | AskError
  | Deadline.DeadlineExceeded
  | SessionMissing
  | StorageError
  | NameInUse
  | TurnOrder.SessionBusy

/** A turn that may begin. With a listener the reply is passed on bit by bit. */
export type Turn = (listener?: TurnListener) => Effect.Effect<TurnReply, TurnError | DeadTurn<TurnError>>

/** A turn that is to be run, or one that was answered before and only gives its reply again. */
export interface Begun {
  readonly run: Turn
  readonly isReplayed: boolean
}

/** Runs the turns of all sessions. */
export class Turns extends Context.Service<Turns, {
  /** Checks that the session is there and belongs to the agent. Nothing has happened yet when this succeeds. */
  readonly begin: (request: TurnRequest) => Effect.Effect<Begun, BeginError>
  /**
   * Asks for the reply of a turn that failed, with the history it had then, and stores it at the end of its session, or in
   * place of the apology. A turn that is complete already stays as it is, whoever completed it.
   */
  readonly complete: (failed: FailedTurn) => Effect.Effect<void, CompleteError>
}>()("agent-server/agents/Turns") {}

/** Completes a turn, as `Turns` says. */
export const complete = (failed: FailedTurn): Effect.Effect<void, CompleteError, Turns> =>
  Turns.use((turns) => turns.complete(failed))

/** How turns are run: for how long at most. */
export interface Options {
  readonly maxRun: Duration.Duration
}

/** A turn, and what is known of it while it runs. */
interface Work {
  readonly request: TurnRequest
  readonly turn: TurnIds
  readonly hold: Hold | undefined
  readonly askedAt: string
  /** How many messages the session had when it was looked. */
  after: number | null
}

const make = Effect.fnUntraced(function*(options: Options) {
  const sessions = yield* Sessions
  const requests = yield* Requests
  const letters = yield* FailedTurns
  const metrics = yield* SessionMetrics
  const [models, spending, replies] = [yield* Models, yield* Spending, yield* Replies]
  const inForce = yield* policies.Policies
  const { now } = inForce
  const order = TurnOrder.make({ waiting: Effect.map(now, ({ turns }) => turns.waiting) })

  /** Lays what asking needs over the services of a turn; `Effect.provideContext` would copy all of those. */
  const asking = <A, E>(self: Effect.Effect<A, E, Services | Replies>): Effect.Effect<A, E> =>
    Effect.updateContext(self, (context: Context.Context<never>) =>
      context.pipe(
        Context.add(Models, models),
        Context.add(Spending, spending),
        Context.add(policies.Policies, inForce),
        Context.add(Replies, replies)
      ))

  /** Stores the turn, with all that has to be true from then on, or nothing. */
  const store = (work: Work, answer: Answer): Effect.Effect<TurnReply, TurnError> =>
    sessions.atomically(Effect.gen(function*() {
      const { hold, request, turn } = work
      // An earlier try was kept, and a redrive has just completed it: that reply is the one.
      if (hold?.letter !== undefined && (yield* sessions.servedIn(turn.id)) !== undefined) return yield* new NameInUse()
      yield* sessions.append({ ...spoken(work), replied: answer.text, served: answer.served })
      const letterId = answer.exhausted === undefined
        ? undefined
        : yield* keep(letters, failedTurn(work, { apologised: true }), Attempts.ofError(answer.exhausted))
      const reply: TurnReply = {
        ...toReply(request.agent, turn.sessionId, answer),
        ...(letterId === undefined ? {} : { letterId })
      }
      if (hold === undefined) return reply
      yield* requests.answer(hold, JSON.stringify(reply))
      // An earlier try had failed and was kept; there is nothing left to do for it.
      if (hold.letter !== undefined && letterId === undefined) {
        yield* Effect.mapError(
          letters.archive([hold.letter], "the client asked again and was answered"),
          (cause) => new StorageError({ cause })
        )
      }
      return reply
    }))

  const attempt = (work: Work, listener: TurnListener | undefined) =>
    Effect.gen(function*() {
      const { request, turn } = work
      const { history } = (yield* now).turns
      const { messages, next } = request.sessionId === undefined
        ? nothingSaid
        : yield* sessions.recent(turn.sessionId, history.messages)
      work.after = next
      const prompt = promptOf(request.agent, messages, request.message, history.characters)
      if (listener !== undefined) yield* listener.onThinking
      const onDelta = yield* TurnMeasures.first("llm_ttft", listener?.onDelta)
      const answer = yield* ask(
        { agent: request.agent.name, message: request.message, prompt },
        { ...options, onDelta }
      ).pipe(asking, TurnMeasures.stage("llm"))
      yield* TurnMeasures.tell((session) => session.count("llm", answer.completionTokens))
      return yield* store(work, answer)
    }).pipe(
      order.inTurn(work.turn.sessionId),
      policies.wholeTurn(options.maxRun),
      TurnMeasures.measured(metrics, work.turn.sessionId)
    )

  /** Keeps what is worth it. The client hears of the failure after that, and of a letter only if there is one. */
  const keepFailed = (work: Work, cause: Cause.Cause<TurnError>) =>
    Effect.gen(function*() {
      if (!(yield* isWorthKeeping(cause))) {
        if (work.hold !== undefined) yield* requests.letGo(work.hold, undefined)
        return yield* Effect.failCause(cause)
      }
      const letterId = yield* keep(letters, failedTurn(work, { apologised: false }), Attempts.ofCause(cause))
      if (work.hold !== undefined) yield* requests.letGo(work.hold, letterId)
      return yield* new DeadTurn({ letterId, sessionId: work.turn.sessionId, cause })
    })

  const run = (work: Work): Turn => (listener) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.catchCause(
        restore(
          work.hold === undefined
            ? attempt(work, listener)
            : requests.holding(work.hold)(attempt(work, listener))
        ),
        (cause) => keepFailed(work, cause)
      )
    ).pipe(
      Effect.annotateLogs("agent", work.request.agent.name),
      Spans.invokeAgent(work.request.agent.name, work.turn.sessionId)
    )

  const toRun = Effect.fnUntraced(function*(request: TurnRequest, turn: TurnIds, hold: Hold | undefined) {
    const askedAt = DateTime.formatIso(DateTime.makeUnsafe(yield* Clock.currentTimeMillis))
    const after = request.sessionId === undefined ? 0 : null
    return { run: run({ request, turn, hold, askedAt, after }), isReplayed: false }
  })

  return Turns.of({
    begin: Effect.fnUntraced(function*(request) {
      const { agent, message, named, newSessionId, sessionId } = request
      if (sessionId !== undefined) {
        const owner = yield* sessions.agentOf(sessionId)
        if (owner !== agent.name) return yield* new WrongAgent({ sessionId, agent: owner })
      }
      const turn = { id: yield* sessions.newId, sessionId: sessionId ?? newSessionId ?? (yield* sessions.newId) }
      if (named === undefined) return yield* toRun(request, turn, undefined)
      const begun = yield* requests.begin({ ...named, asked: [agent.name, sessionId ?? null, message], turn })
      // It was written by this module, for this module to read.
      if (begun._tag === "Answered") return { run: replaying(JSON.parse(begun.reply) as TurnReply), isReplayed: true }
      return yield* toRun(request, begun.hold.turn, begun.hold)
    }),
    complete: (failed) =>
      completeTurn(failed, options).pipe(
        Effect.provideService(Sessions, sessions),
        Effect.provideService(Requests, requests),
        asking,
        policies.wholeTurn(options.maxRun),
        Effect.annotateLogs("agent", failed.agent)
      )
  })
})

/** A turn that happened before: the listener gets all of the reply at once. */
const replaying = (reply: TurnReply): Turn => (listener) =>
  Effect.as(listener === undefined ? Effect.void : listener.onDelta(reply.text), reply)

const spoken = ({ request, turn }: Work) => ({
  id: turn.id,
  sessionId: turn.sessionId,
  agent: request.agent.name,
  first: request.sessionId === undefined,
  said: request.message
})

const failedTurn = (
  { after, askedAt, request, turn }: Work,
  { apologised }: { readonly apologised: boolean }
): FailedTurn => ({
  turn: turn.id,
  agent: request.agent.name,
  session_id: turn.sessionId,
  first: request.sessionId === undefined,
  apologised,
  after,
  message: request.message,
  request_id: request.requestId ?? null,
  idempotency_key: request.named?.name ?? null,
  asked_at: askedAt
})

/** Runs turns with the program's language models, and keeps them in its sessions. */
export const layer = (
  options: Options
): Layer.Layer<Turns, never, Sessions | Requests | FailedTurns | SessionMetrics | Services | Replies> =>
  Layer.effect(Turns, make(options))
