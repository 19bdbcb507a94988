/** Serves `POST /v1/agents/{agent}/chat`. */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import { failWith, says } from "effect-resilience/http/Problem"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Agents from "../../agents/Agents.ts"
import { type Turn, type TurnReply, Turns } from "../../agents/Turns.ts"
import { Api } from "../Api.ts"
import type { ChatEvent, ChatReply } from "../ChatApi.ts"
import { named, replayedHeader } from "../idempotencyKey.ts"
import * as Problems from "../Problems.ts"
import { type TurnFailure, turnProblem } from "../turnProblem.ts"

/** The handlers, for messages of at most so many characters. */
export const layer = (options: { readonly maxMessageChars: number }) =>
  HttpApiBuilder.group(
    Api,
    "chat",
    Effect.fnUntraced(function*(handlers) {
      const turns = yield* Turns
      const server = yield* NodeServer.NodeServer
      return handlers.handle(
        "chat",
        Effect.fnUntraced(function*({ params, payload, request }) {
          const agent = Agents.find(params.agent)
          if (agent === undefined) return yield* agentNotFound(params.agent)
          const { message } = payload
          if (isLongerThan(message, options.maxMessageChars)) return yield* messageTooLong(options.maxMessageChars)
          const begun = yield* failingWithProblem(
            turns.begin({
              agent,
              message,
              sessionId: payload.session_id ?? undefined,
              requestId: yield* RequestId.RequestId,
              named: yield* named(request.headers["idempotency-key"], payload.idempotency_key)
            })
          )
          const wantsStream = payload.stream === true || acceptsEvents(request.headers["accept"])
          if (begun._tag === "Answered") yield* withHeader(replayedHeader, "true")
          const turn: Turn = begun._tag === "Turn" ? begun.run : replaying(begun.reply)
          if (!wantsStream) return yield* told(yield* failingWithProblem(turn()))
          yield* HttpEffect.appendPreResponseHandler((_, response) =>
            Effect.succeed(HttpServerResponse.setHeaders(response, eventStreamHeaders))
          )
          return server.endAtDeadline(events(turn), shutDown)
        })
      )
    })
  )

const agentNotFound = (name: string) =>
  new Problems.AgentNotFound(
    says(
      `There is no agent "${name.slice(0, 100)}". There are: ${Agents.agents.map((agent) => agent.name).join(", ")}.`
    )
  )

const messageTooLong = (limit: number) =>
  new Problems.MessageTooLong({ ...says(`The message is longer than ${limit} characters.`), limit })

/** Characters are code points: an emoji is one, though it has the length 2. */
const isLongerThan = (text: string, limit: number): boolean => {
  if (text.length <= limit) return false
  let characters = 0
  for (const _ of text) if (++characters > limit) return true
  return false
}

/** `Accept: text/event-stream` asks for events; with `q=0` it refuses them. */
const acceptsEvents = (accept: string | undefined): boolean =>
  accept !== undefined &&
  accept.toLowerCase().split(",").some((range) =>
    /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0+)?\s*(;|$)/.test(range)
  )

/** Each event must be seen when it happens: nothing between us and the client may keep or gather them. */
const eventStreamHeaders = { "cache-control": "no-store", "x-accel-buffering": "no" }

const failingWithProblem = <A>(self: Effect.Effect<A, TurnFailure>) =>
  Effect.catch(
    self,
    (error) => Effect.flatMap(turnProblem(error), (problem) => Effect.andThen(withLetter(problem), failWith(problem)))
  )

/** The reply's body, its letter in the header too. */
const told = (reply: TurnReply) => {
  const body = toChatReply(reply)
  return Effect.as(withLetter(body), body)
}

const withLetter = (body: object) =>
  Predicate.hasProperty(body, "letter_id") && typeof body.letter_id === "string"
    ? withHeader("x-dead-letter", body.letter_id)
    : Effect.void

const withHeader = (name: string, value: string) =>
  HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, name, value))
  )

/** A turn that happened before: the listener gets all of the reply at once. */
const replaying = (reply: TurnReply): Turn => (listener) =>
  Effect.as(listener === undefined ? Effect.void : listener.onDelta(reply.text), reply)

/** The last word of a reply that was not done when the server had to go. */
const shutDown = (): ChatEvent => ({
  event: "error",
  data: new Problems.ShuttingDown({
    ...says("The server is shutting down. Nothing of this reply was kept. Send the message again."),
    retry_after: 1
  })
})

/** Runs the turn while the client listens, and interrupts it when the client goes away. */
const events = (turn: Turn): Stream.Stream<ChatEvent> =>
  Stream.callback<ChatEvent>(
    (queue) => {
      const emit = (event: ChatEvent) => Effect.asVoid(Queue.offer(queue, event))
      let answering = false
      const running = turn({
        onThinking: emit({ event: "step", data: { step: "Thinking" } }),
        onDelta: (text) => {
          const delta = emit({ event: "delta", data: { text } })
          if (answering) return delta
          answering = true
          return Effect.andThen(emit({ event: "step", data: { step: "Answering" } }), delta)
        }
      })
      return running.pipe(
        Effect.matchEffect({
          onSuccess: (reply) => emit({ event: "done", data: toChatReply(reply) }),
          onFailure: (error) => Effect.flatMap(turnProblem(error), (problem) => emit({ event: "error", data: problem }))
        }),
        Effect.catchDefect((defect) =>
          Effect.andThen(
            Effect.logError("Unexpected error", defect),
            emit({ event: "error", data: new Problems.InternalError(says("Something went wrong on our side.")) })
          )
        ),
        Effect.andThen(Queue.end(queue))
      )
    },
    // A client that reads slowly slows the provider down, instead of filling the server's memory.
    { bufferSize: 16, strategy: "suspend" }
  )

const toChatReply = (reply: TurnReply): ChatReply => ({
  session_id: reply.sessionId,
  reply: reply.text,
  agent: reply.agent,
  model: reply.model,
  usage: {
    prompt_tokens: reply.usage.promptTokens,
    completion_tokens: reply.usage.completionTokens,
    total_tokens: reply.usage.promptTokens + reply.usage.completionTokens,
    cost_usd: reply.usage.costUsd
  },
  served: reply.served,
  ...(reply.letterId === undefined ? {} : { letter_id: reply.letterId })
})
