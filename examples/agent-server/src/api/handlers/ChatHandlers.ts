/** Serves `POST /v1/agents/{agent}/chat`. */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as EventStream from "effect-resilience/http/EventStream"
import { failWith, says } from "effect-resilience/http/Problem"
import * as RateLimitMiddleware from "effect-resilience/http/RateLimitMiddleware"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Agents from "../../agents/Agents.ts"
import type { TurnReply } from "../../agents/TurnReply.ts"
import { type Turn, Turns } from "../../agents/Turns.ts"
import { withFew } from "../../http/fewServices.ts"
import { agentNotFound } from "../agentNotFound.ts"
import { Api } from "../Api.ts"
import type { ChatEvent, ChatReply } from "../ChatApi.ts"
import { named } from "../idempotencyKey.ts"
import * as Problems from "../Problems.ts"
import { sayLetter } from "../sayLetter.ts"
import { sayWhoServed } from "../sayWhoServed.ts"
import { type TurnFailure, turnProblem } from "../turnProblem.ts"

/** What the handlers do, and run with. */
export interface Options {
  /** Longer messages are refused. */
  readonly maxMessageChars: number
  /** The time that a turn has. */
  readonly maxRun: Duration.Duration
  /** What chats find besides what they are given on their way. */
  readonly base: Context.Context<never>
}

/** The handlers. */
export const layer = (options: Options) =>
  Layer.unwrap(Effect.gen(function*() {
    const turns = yield* Turns
    const server = yield* NodeServer.NodeServer
    const group = HttpApiBuilder.group(Api, "chat", (handlers) =>
      handlers.handle(
        "chat",
        Effect.fnUntraced(function*({ params, payload, request }) {
          const agent = Agents.find(params.agent)
          if (agent === undefined) return yield* agentNotFound(params.agent)
          const { message } = payload
          if (isLongerThan(message, options.maxMessageChars)) return yield* messageTooLong(options.maxMessageChars)
          const { isReplayed, run } = yield* failingWithProblem(
            turns.begin({
              agent,
              message,
              sessionId: payload.session_id ?? undefined,
              requestId: yield* RequestId.RequestId,
              named: yield* named(request.headers["idempotency-key"], payload.idempotency_key)
            })
          )
          const wantsStream = payload.stream === true || EventStream.accepts(request.headers["accept"])
          if (isReplayed) yield* sayReplayed
          if (!wantsStream) return yield* told(yield* failingWithProblem(run()))
          yield* EventStream.passOn(keepAliveOf(options.maxRun))
          return server.endAtDeadline(events(run), shutDown)
        })
      ))
    return withFew(options.base, ApiKey.Authentication, RateLimitMiddleware.RateLimits)(group)
  }))

/** Proxies cut streams that are silent for a minute: one that cannot be does without comments, which cost a little. */
const keepAliveOf = (maxRun: Duration.Duration): EventStream.Options =>
  Duration.isGreaterThan(maxRun, Duration.minutes(1)) ? {} : { keepAlive: false }

const messageTooLong = (limit: number) =>
  new Problems.MessageTooLong({ ...says(`The message is longer than ${limit} characters.`), limit })

/** Characters are code points: an emoji is one, though it has the length 2. */
const isLongerThan = (text: string, limit: number): boolean => {
  if (text.length <= limit) return false
  let characters = 0
  for (const _ of text) if (++characters > limit) return true
  return false
}

const failingWithProblem = <A>(self: Effect.Effect<A, TurnFailure>) =>
  Effect.catch(
    self,
    (error) => Effect.flatMap(turnProblem(error), (problem) => Effect.andThen(sayLetter(problem), failWith(problem)))
  )

/** The reply's body, its letter in the header too. */
const told = Effect.fnUntraced(function*(reply: TurnReply) {
  const body = toChatReply(reply)
  yield* sayWhoServed(reply.served)
  yield* sayLetter(body)
  return body
})

const sayReplayed = HttpEffect.appendPreResponseHandler((_, response) =>
  Effect.succeed(HttpServerResponse.setHeader(response, "idempotency-replayed", "true"))
)

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
