/** One chat as its client has it, and what became of it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ChatReply } from "../api/ChatApi.ts"
import { VoiceReply } from "../api/VoiceApi.ts"
import * as Wav from "../audio/wav.ts"
import type { Balancer, NoReply } from "./Balancer.ts"
import { outcomeOf, type Reply, type Request } from "./http.ts"
import type { BadWay, Chat } from "./plan.ts"

/** What a chat came to. */
export type Result =
  /** It got a reply. `agrees`: whether both replies to a chat that was sent twice are the same one. */
  | {
    readonly _tag: "Answered"
    readonly sessionId: string
    readonly reply: string
    /** The route of the language model's stage. */
    readonly route: string
    readonly degraded: boolean
    readonly attempts: number
    readonly tokens: number
    readonly letterId: string | undefined
    readonly agrees: boolean | undefined
  }
  /** It got a problem. */
  | {
    readonly _tag: "Failed"
    readonly status: number
    readonly code: string
    readonly letterId: string | undefined
    readonly sessionId: string | undefined
  }
  /** It got nothing. */
  | { readonly _tag: "Lost"; readonly reason: string }
  /** Its client was gone before. */
  | { readonly _tag: "Left" }
  /** It was sent to be refused, and was, as it should be or otherwise. */
  | { readonly _tag: "Refused"; readonly status: number; readonly asItShould: boolean }

/** The result of a chat that got a reply. */
export type Answered = Extract<Result, { readonly _tag: "Answered" }>

/** Whether it got a reply. */
export const isAnswered = (result: Result): result is Answered => result._tag === "Answered"

/** The letter that is kept of it. */
export const letterOf = (result: Result): string | undefined =>
  result._tag === "Answered" || result._tag === "Failed" ? result.letterId : undefined

/** A chat that is over. */
export interface Outcome {
  readonly chat: Chat
  readonly millis: number
  readonly result: Result
}

type Sending = Effect.Effect<Result, never, HttpClient.HttpClient>

/** Whose chats these are. */
export interface Clients {
  readonly balancer: Balancer
  readonly apiKey: string | undefined
  /** What the keys of this storm's requests begin with: another one's are others. */
  readonly prefix: string
}

/** Sends a chat. `sessionId` is that of the chat it goes on from, if there is one. */
export const run = (
  clients: Clients,
  chat: Chat,
  sessionId: string | undefined
): Effect.Effect<Outcome, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    const result = yield* resultOf(clients, chat, sessionId)
    return { chat, result, millis: (yield* Clock.currentTimeMillis) - began }
  })

const resultOf = ({ apiKey, balancer, prefix }: Clients, chat: Chat, sessionId: string | undefined): Sending => {
  const { manner } = chat
  const key: Readonly<Record<string, string>> = apiKey === undefined ? {} : { "x-api-key": apiKey }
  const said = (headers: Readonly<Record<string, string>>): Sending =>
    asked(balancer, requestOf(chat, sessionId, headers), fromChat)
  switch (manner._tag) {
    case "Once":
      return said(key)
    case "Twice":
      return twice(said({ ...key, "idempotency-key": `${prefix}-${chat.index}` }), manner.atOnce)
    case "Leaves":
      return Effect.timeoutOrElse(said(key), {
        duration: manner.afterMillis,
        orElse: () => Effect.succeed<Result>({ _tag: "Left" })
      })
    case "Aloud":
      return asked(balancer, aloud(chat, key), fromVoice)
    case "Wrongly":
      return refused(balancer, chat, manner.way, key)
  }
}

const path = (agent: string) => `/v1/agents/${agent}/chat`

const requestOf = (
  { agent, message, stream }: Chat,
  sessionId: string | undefined,
  headers: Readonly<Record<string, string>>
): Request => ({
  method: "POST",
  path: path(agent),
  headers,
  body: JSON.stringify({ message, stream, ...(sessionId === undefined ? {} : { session_id: sessionId }) })
})

// -----------------------------------------------------------------------------
// Asking
// -----------------------------------------------------------------------------

type Read = (body: unknown) => Result | undefined

const asked = (balancer: Balancer, request: Request, read: Read): Sending =>
  Effect.catch(
    Effect.map(balancer.send(request), (reply) => {
      const body = outcomeOf(reply)
      return read(body) ?? problemIn(reply, body)
    }),
    ({ reason }: NoReply) => Effect.succeed<Result>({ _tag: "Lost", reason })
  )

const decodeChat = Schema.decodeUnknownOption(ChatReply)
const decodeVoice = Schema.decodeUnknownOption(VoiceReply)

const fromChat: Read = (body) =>
  Option.getOrUndefined(Option.map(decodeChat(body), (reply): Result => answered(reply, reply.served)))

const fromVoice: Read = (body) =>
  Option.getOrUndefined(Option.map(decodeVoice(body), (reply): Result => answered(reply, reply.served.stages.llm)))

const answered = (
  { letter_id, reply, session_id, usage }: Pick<ChatReply, "letter_id" | "reply" | "session_id" | "usage">,
  { attempts, degraded, route }: ChatReply["served"]
): Result => ({
  _tag: "Answered",
  sessionId: session_id,
  reply,
  route,
  degraded,
  attempts,
  tokens: usage.total_tokens,
  letterId: letter_id,
  agrees: undefined
})

const Problem = Schema.Struct({
  status: Schema.Int,
  code: Schema.String,
  letter_id: Schema.optional(Schema.String),
  session_id: Schema.optional(Schema.String)
})

const decodeProblem = Schema.decodeUnknownOption(Problem)

/** A stream that ends without an end is no reply at all. */
const problemIn = ({ status }: Reply, body: unknown): Result =>
  Option.match(decodeProblem(body), {
    onNone: (): Result => ({ _tag: "Lost", reason: `a reply of status ${status} that is none` }),
    onSome: (problem): Result => ({
      _tag: "Failed",
      status: problem.status,
      code: problem.code,
      letterId: problem.letter_id,
      sessionId: problem.session_id
    })
  })

// -----------------------------------------------------------------------------
// Manners
// -----------------------------------------------------------------------------

/** How often a client comes back that is told that its first request is being answered. */
const comesBack = 30

/** A request whose key is in use is sent again, as its problem says. */
const patiently = (sending: Sending, left = comesBack): Sending =>
  Effect.flatMap(sending, (result) =>
    result._tag === "Failed" && result.code === "idempotency_key_in_use" && left > 0
      ? Effect.delay(patiently(sending, left - 1), "1 second")
      : Effect.succeed(result))

/** Both replies have to be the same one. Of two that are sent at once one is enough. */
const twice = (sending: Sending, atOnce: boolean): Sending =>
  Effect.gen(function*() {
    const patient = patiently(sending)
    const [one, other] = atOnce
      ? yield* Effect.all([patient, patient], { concurrency: 2 })
      : yield* Effect.flatMap(patient, (one) =>
        Effect.map(one._tag === "Answered" ? patient : Effect.succeed(one), (other) => [one, other] as const))
    if (one._tag !== "Answered") {
      return other
    }
    if (other._tag !== "Answered") {
      return atOnce ? one : { ...one, agrees: false }
    }
    return { ...one, agrees: one.reply === other.reply && one.sessionId === other.sessionId }
  })

/** Half a second of a tone. The simulated services read what is said from its comment. */
const aloud = ({ agent, message, stream }: Chat, key: Readonly<Record<string, string>>): Request => ({
  method: "POST",
  path: `/v1/speech_to_speech?agent=${agent}`,
  headers: stream ? { ...key, accept: "text/event-stream" } : key,
  body: Wav.write({ sampleRate: 16_000, samples: tone, comment: message })
})

const tone = Int16Array.from({ length: 8_000 }, (_, index) => 8_000 * Math.sin(2 * Math.PI * 220 * index / 16_000))

/** More than any server takes that has not been told to take more. */
const tooLong = 100_000

const wrong: { readonly [W in BadWay]: (chat: Chat) => readonly [status: number, agent: string, body: string] } = {
  NoMessage: ({ agent }) => [400, agent, JSON.stringify({ message: " " })],
  NoAgent: ({ message }) => [404, "nobody", JSON.stringify({ message })],
  NoSession: ({ agent, message }) => [404, agent, JSON.stringify({ message, session_id: "no-such-session" })],
  NoJson: ({ agent }) => [400, agent, "{"],
  TooLong: ({ agent }) => [413, agent, JSON.stringify({ message: "?".repeat(tooLong) })]
}

const refused = (balancer: Balancer, chat: Chat, way: BadWay, headers: Readonly<Record<string, string>>): Sending => {
  const [status, agent, body] = wrong[way](chat)
  return Effect.map(
    asked(balancer, { method: "POST", path: path(agent), headers, body }, () => undefined),
    (result): Result =>
      result._tag === "Failed"
        ? { _tag: "Refused", status: result.status, asItShould: result.status === status }
        : { _tag: "Refused", status: 0, asItShould: false }
  )
}
