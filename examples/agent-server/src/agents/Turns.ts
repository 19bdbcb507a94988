/**
 * A turn: the user says something, the agent replies, and both are stored.
 *
 * A reply is given to the client as done only after it is stored, so what a client knows of survives a crash. A turn that
 * fails, or whose client goes away, leaves nothing behind.
 */
import type * as Deadline from "effect-resilience/Deadline"
import { SessionMetrics } from "effect-resilience/SessionMetrics"
import type * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TurnMeasures from "../measures/TurnMeasures.ts"
import * as policies from "../policies.ts"
import { type Message, type Served, type SessionMissing, Sessions, type StorageError } from "../sessions/Sessions.ts"
import type { Agent } from "./Agents.ts"
import { type Answer, ask, type AskError } from "./ask.ts"
import type { Services } from "./askModels.ts"
import type { Replies } from "./replies.ts"
import * as TurnOrder from "./TurnOrder.ts"

/** What a client asks for: something to say to an agent, and the session to go on with if there is one. */
export interface TurnRequest {
  readonly agent: Agent
  readonly message: string
  readonly sessionId: string | undefined
  /** The id of the session that begins, where it was given away before. */
  readonly newSessionId?: string | undefined
}

/** A turn that is over and stored. */
export interface TurnReply {
  readonly sessionId: string
  readonly agent: string
  readonly text: string
  readonly model: string
  readonly usage: {
    readonly promptTokens: number
    readonly completionTokens: number
    readonly costUsd: number | null
  }
  readonly served: Served
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
export type BeginError = SessionMissing | WrongAgent | StorageError

/** Why a turn that began did not end well. */
export type TurnError = AskError | Deadline.DeadlineExceeded | SessionMissing | StorageError | TurnOrder.SessionBusy

/** A turn that may begin. With a listener the reply is passed on bit by bit. */
export type Turn = (listener?: TurnListener) => Effect.Effect<TurnReply, TurnError>

/** Runs the turns of all sessions. */
export class Turns extends Context.Service<Turns, {
  /** Checks that the session is there and belongs to the agent. Nothing has happened yet when this succeeds. */
  readonly begin: (request: TurnRequest) => Effect.Effect<Turn, BeginError>
}>()("agent-server/agents/Turns") {}

/** How turns are run: for how long at most. */
export interface Options {
  readonly maxRun: Duration.Duration
}

const make = Effect.fnUntraced(function*(options: Options) {
  const sessions = yield* Sessions
  const metrics = yield* SessionMetrics
  const services = yield* Effect.context<Services | Replies>()
  const order = TurnOrder.make({ waiting: policies.waitingTurns })

  const run = (request: TurnRequest, sessionId: string, listener: TurnListener | undefined) =>
    Effect.gen(function*() {
      const first = request.sessionId === undefined
      const history = first ? [] : yield* sessions.recent(sessionId, policies.history.messages)
      const prompt = promptOf(request.agent, history, request.message)
      if (listener !== undefined) yield* listener.onThinking
      const answer = yield* ask(
        { agent: request.agent.name, message: request.message, prompt },
        { ...options, onDelta: listener?.onDelta }
      ).pipe(Effect.provideContext(services), TurnMeasures.stage("llm"))
      yield* TurnMeasures.tell((session) => session.count("llm", answer.completionTokens))
      yield* sessions.append({
        sessionId,
        agent: request.agent.name,
        first,
        said: request.message,
        replied: answer.text,
        served: answer.served
      })
      return toReply(request.agent, sessionId, answer)
    }).pipe(
      order.inTurn(sessionId),
      policies.wholeTurn(options.maxRun),
      TurnMeasures.measured(metrics, sessionId),
      Effect.annotateLogs("agent", request.agent.name)
    )

  return Turns.of({
    begin: Effect.fnUntraced(function*(request) {
      if (request.sessionId === undefined) {
        const sessionId = request.newSessionId ?? (yield* sessions.newId)
        return (listener) => run(request, sessionId, listener)
      }
      const { sessionId } = request
      const agent = yield* sessions.agentOf(sessionId)
      if (agent !== request.agent.name) return yield* new WrongAgent({ sessionId, agent })
      return (listener) => run(request, sessionId, listener)
    })
  })
})

/** Runs turns with the program's language models, and keeps them in its sessions. */
export const layer = (
  options: Options
): Layer.Layer<Turns, never, Sessions | SessionMetrics | Services | Replies> => Layer.effect(Turns, make(options))

const promptOf = (agent: Agent, history: ReadonlyArray<Message>, message: string): Prompt.RawInput => [
  { role: "system", content: agent.system },
  ...within(policies.history.characters, history).map(({ content, role }) => ({ role, content })),
  { role: "user", content: message }
]

/** The last messages that together have at most so many characters, from something that the user said on. */
const within = (characters: number, history: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  let left = characters
  const tooMuch = history.findLastIndex(({ content }) => (left -= content.length) < 0)
  const start = history.findIndex(({ role }, index) => index > tooMuch && role === "user")
  return start === -1 ? [] : history.slice(start)
}

const toReply = (agent: Agent, sessionId: string, answer: Answer): TurnReply => ({
  sessionId,
  agent: agent.name,
  text: answer.text,
  model: answer.model,
  usage: {
    promptTokens: answer.promptTokens,
    completionTokens: answer.completionTokens,
    costUsd: answer.costUsd
  },
  served: answer.served
})
