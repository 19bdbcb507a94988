/** Replies in place of a model's, for when none answers: one that was given before, a canned one, an apology. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Prompt from "effect/ai/Prompt"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as policies from "../policies.ts"

/** A conversation, as replies to it are kept. */
export interface Conversation {
  readonly agent: string
  readonly prompt: Prompt.RawInput
  /** The model that is the first choice: when that changes, what was kept is of another time. */
  readonly model: string
}

/** The same words are the same, however they were typed. */
const normalised = (text: string): string => text.normalize("NFKC").replace(/\s+/g, " ").trim().toLowerCase()

const messagesOf = (prompt: Prompt.RawInput): ReadonlyArray<readonly [role: string, text: string]> =>
  Prompt.make(prompt).content.map(({ content, role }) => [
    role,
    normalised(
      typeof content === "string" ? content : content.map((part) => part.type === "text" ? part.text : "").join("\n")
    )
  ])

/** What models replied. An apology is never among it. */
export class Replies extends ResponseCache.Service<Replies>()("agent-server/agents/Replies", {
  schema: Schema.Struct({ text: Schema.String, model: Schema.String }),
  key: ({ agent, model, prompt }: Conversation) =>
    ResponseCache.promptKey({ model, messages: messagesOf(prompt), more: { agent } }),
  // Until the policies say how long, which they do at once.
  ttl: "1 hour",
  capacity: 10_000
}) {}

/** Keeps them in this process, for as long as the policies say. */
export const layer: Layer.Layer<Replies, never, policies.Policies> = Layer.effectDiscard(
  Effect.gen(function*() {
    const replies = yield* Replies
    const { whenever } = yield* policies.Policies
    yield* whenever((values) => replies.reconfigure(values.replies))
  })
).pipe(Layer.provideMerge(Replies.layer))

/** Nothing was replied to this before. */
class NoReplyKept extends Data.TaggedError("NoReplyKept") {}

const kept = (conversation: Conversation) =>
  Effect.flatMap(Replies, (replies) =>
    Effect.flatMap(
      replies.peek(conversation),
      Option.match({
        onNone: () => Effect.fail(new NoReplyKept()),
        onSome: ({ value }) => Effect.succeed(value)
      })
    ))

/** No model said this. */
const none = "none"

/** Something to say all the same, and which of them it is: `cache`, `pattern`, or in the end `static`. */
export const standIn = (conversation: Conversation, message: string) =>
  Effect.flatMap(
    policies.Policies.use(({ now }) => now),
    ({ replies: { apology, canned } }) =>
      FallbackChain.effectsServed("replies", [
        ["cache", kept(conversation)],
        ["pattern", Effect.map(canned(message), (text) => ({ text, model: none }))],
        ["static", Effect.succeed({ text: apology, model: none })]
      ])
  ).pipe(
    // The last of them cannot fail.
    Effect.orDie,
    Effect.map(([said, { route }]) => ({ text: said.text, model: said.model, route }))
  )
