/** A turn: the user says something, the agent replies, and both are stored before the client has the reply. */
import type { FastifyRequest } from "fastify"
import type { Agent } from "./agents.ts"
import type { ChatMessage } from "./model.ts"
import { Problem } from "./problems.ts"
import type { Provider } from "./provider.ts"
import type { Message, Served, Sessions } from "./sessions.ts"

/** What a client says. */
export interface ChatRequest {
  readonly message: string
  readonly session_id?: string | null
  readonly stream?: boolean | null
}

/** What a client gets. */
export interface ChatReply {
  readonly session_id: string
  readonly reply: string
  readonly agent: string
  readonly model: string
  readonly usage: {
    readonly prompt_tokens: number
    readonly completion_tokens: number
    readonly total_tokens: number
    readonly cost_usd: number | null
  }
  readonly served: Served
}

/** Hears of a turn while it happens. */
export interface Listener {
  readonly onThinking: () => Promise<void> | undefined
  readonly onDelta: (text: string) => Promise<void> | undefined
}

/** A turn that may begin. */
export type Turn = (signal: AbortSignal, listener?: Listener) => Promise<ChatReply>

const history = { messages: 40, characters: 48_000 }
const waitingTurns = 8

/** Runs the turns of each session one after the other, and tells a client that sends too many. */
const makeOrder = () => {
  const lanes = new Map<string, { last: Promise<unknown>; turns: number }>()
  return async <A>(sessionId: string, turn: () => Promise<A>): Promise<A> => {
    const lane = lanes.get(sessionId) ?? { last: Promise.resolve(), turns: 0 }
    if (lane.turns > waitingTurns) {
      throw new Problem(
        "session_busy",
        `${lane.turns - 1} turns of this session are waiting already. Try again when one has been answered.`,
        { retry_after: 1 }
      )
    }
    lanes.set(sessionId, lane)
    lane.turns++
    const running = lane.turns === 1 ? turn() : lane.last.then(turn)
    lane.last = running.catch(() => {})
    try {
      return await running
    } finally {
      if (--lane.turns === 0) lanes.delete(sessionId)
    }
  }
}

const within = (messages: ReadonlyArray<Message>): ReadonlyArray<ChatMessage> => {
  let left = history.characters
  const tooMuch = messages.findLastIndex(({ content }) => (left -= content.length) < 0)
  const start = messages.findIndex(({ role }, index) => index > tooMuch && role === "user")
  return start === -1 ? [] : messages.slice(start).map(({ content, role }) => ({ role, content }))
}

/** What runs turns. `begin` throws where a turn may not begin; nothing has happened then. */
export const makeTurns = (
  { model, provider, sessions }: { readonly model: string; readonly provider: Provider; readonly sessions: Sessions }
) => {
  const inOrder = makeOrder()

  const run = async (
    { agent, body, request, sessionId }: {
      readonly agent: Agent
      readonly body: ChatRequest
      readonly request: FastifyRequest
      readonly sessionId: string
    },
    signal: AbortSignal,
    listener: Listener | undefined
  ): Promise<ChatReply> => {
    const first = typeof body.session_id !== "string"
    const said = first ? [] : within(sessions.recent(sessionId, history.messages))
    await listener?.onThinking()
    const messages: ReadonlyArray<ChatMessage> = [
      { role: "system", content: agent.system },
      ...said,
      { role: "user", content: body.message }
    ]
    const call = { messages, headers: { "x-request-id": request.id }, signal }
    const answer = listener === undefined
      ? await provider.ask(call)
      : await provider.askBitByBit(call, listener.onDelta)
    const served: Served = { route: model, degraded: false, attempts: answer.attempts }
    await sessions.append({
      sessionId,
      agent: agent.name,
      first,
      said: body.message,
      replied: answer.text,
      served
    })
    return {
      session_id: sessionId,
      reply: answer.text,
      agent: agent.name,
      model: answer.model,
      usage: {
        prompt_tokens: answer.promptTokens,
        completion_tokens: answer.completionTokens,
        total_tokens: answer.promptTokens + answer.completionTokens,
        cost_usd: answer.costUsd
      },
      served
    }
  }

  return {
    begin: (agent: Agent, body: ChatRequest, request: FastifyRequest): Turn => {
      if (typeof body.session_id === "string") {
        const owner = sessions.agentOf(body.session_id)
        if (owner !== agent.name) {
          throw new Problem(
            "wrong_agent",
            `This session is one with ${owner}. Go on with that agent, or begin a new session.`
          )
        }
      }
      const sessionId = body.session_id ?? sessions.newId()
      return (signal, listener) => inOrder(sessionId, () => run({ agent, body, request, sessionId }, signal, listener))
    }
  }
}

/** Runs turns. */
export type Turns = ReturnType<typeof makeTurns>
