/** `POST /v1/agents/:agent/chat`, whole and bit by bit. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { once } from "node:events"
import { agents, agentsByName } from "../agents.ts"
import { Problem } from "../problems.ts"
import type { ChatRequest, Turn, Turns } from "../turns.ts"

const body = {
  type: "object",
  required: ["message"],
  properties: {
    message: { type: "string", pattern: "\\S" },
    session_id: { type: ["string", "null"], pattern: "^[A-Za-z0-9_-]{1,128}$" },
    stream: { type: ["boolean", "null"] }
  }
}

const reply = {
  type: "object",
  properties: {
    session_id: { type: "string" },
    reply: { type: "string" },
    agent: { type: "string" },
    model: { type: "string" },
    usage: {
      type: "object",
      properties: {
        prompt_tokens: { type: "integer" },
        completion_tokens: { type: "integer" },
        total_tokens: { type: "integer" },
        cost_usd: { type: ["number", "null"] }
      }
    },
    served: {
      type: "object",
      properties: { route: { type: "string" }, degraded: { type: "boolean" }, attempts: { type: "integer" } }
    }
  }
}

/** Adds the route. */
export const addChat = (
  app: FastifyInstance,
  { maxMessageChars, turns }: { readonly maxMessageChars: number; readonly turns: Turns }
): void => {
  app.post<{ Params: { agent: string }; Body: ChatRequest }>(
    "/v1/agents/:agent/chat",
    { schema: { body, response: { 200: reply } } },
    // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Fastify waits for handlers, and answers what they throw
    async (request, response) => {
      const agent = agentsByName.get(request.params.agent)
      if (agent === undefined) throw agentNotFound(request.params.agent)
      if (isLongerThan(request.body.message, maxMessageChars)) {
        throw new Problem("message_too_long", `The message is longer than ${maxMessageChars} characters.`, {
          limit: maxMessageChars
        })
      }
      const turn = turns.begin(agent, request.body, request)
      const signal = abortedWhenGone(response)
      if (request.body.stream !== true && !acceptsEvents(request.headers.accept)) return turn(signal)
      await sendEvents(request, response, turn, signal)
      return response
    }
  )
}

const agentNotFound = (name: string) =>
  new Problem(
    "agent_not_found",
    `There is no agent "${name.slice(0, 100)}". There are: ${agents.map((agent) => agent.name).join(", ")}.`
  )

const isLongerThan = (text: string, limit: number): boolean => text.length > limit && [...text].length > limit

const acceptsEvents = (accept: string | undefined): boolean =>
  accept !== undefined &&
  accept.toLowerCase().split(",").some((range) =>
    /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0+)?\s*(;|$)/.test(range)
  )

/** Interrupts the turn of a client that goes away before it has its reply. */
const abortedWhenGone = ({ raw }: FastifyReply): AbortSignal => {
  const controller = new AbortController()
  raw.once("close", () => {
    if (!raw.writableFinished) controller.abort()
  })
  return controller.signal
}

const sendEvents = async (
  request: FastifyRequest,
  response: FastifyReply,
  turn: Turn,
  signal: AbortSignal
): Promise<void> => {
  response.hijack()
  const { raw } = response
  // Those that hooks have set: what is sent past Fastify has to be told of them.
  for (const [name, value] of Object.entries(response.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no"
  })
  const emit = (event: string, data: unknown): Promise<void> | undefined => {
    // A client that reads slowly slows the provider down, instead of filling the server's memory.
    if (raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`) || signal.aborted) return undefined
    return once(raw, "drain", { signal }).then(() => {})
  }
  let answering = false
  try {
    const done = await turn(signal, {
      onThinking: () => emit("step", { step: "Thinking" }),
      onDelta: async (text) => {
        if (!answering) {
          answering = true
          await emit("step", { step: "Answering" })
        }
        await emit("delta", { text })
      }
    })
    await emit("done", done)
  } catch (error) {
    if (signal.aborted) return
    if (!(error instanceof Problem)) request.log.error(error, "Unexpected error")
    const problem = error instanceof Problem
      ? error
      : new Problem("internal_error", "Something went wrong on our side.")
    await emit("error", problem.body(request.id))
  } finally {
    raw.end()
  }
}
