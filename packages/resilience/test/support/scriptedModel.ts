/** A provider of a language model that does what it is told, call by call, and keeps the books that it would bill by. */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/** Counts words, as the provider bills them. */
export const words = (text: string): number => text.split(/\s+/).filter((word) => word !== "").length

/**
 * What the provider does with a call: it begins after `latency`, says its words `every` so long, and fails where it is told to:
 * at the start, or after so many words.
 */
export interface Script {
  readonly latency?: number
  readonly every?: number
  readonly failAt?: number | "start"
}

/** What the provider has answered, in words; times in milliseconds. */
interface Ledger {
  calls: number
  input: number
  output: number
  /** Of each stream that had a first word, how long that took. */
  readonly firstWords: Array<number>
  /** How many words followed another one. */
  further: number
}

const overloaded = AiError.make({
  module: "test",
  method: "test",
  reason: new AiError.InternalProviderError({ description: "overloaded" })
})

const promptWords = ({ prompt }: LanguageModel.ProviderOptions): number =>
  words(
    prompt.content.map(({ content }) =>
      typeof content === "string" ? content : content.map((part) => part.type === "text" ? part.text : "").join("\n")
    ).join("\n")
  )

const finish = (input: number, output: number): Response.FinishPartEncoded => ({
  type: "finish",
  reason: "stop",
  usage: {
    inputTokens: { total: input, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: undefined, reasoning: undefined }
  }
})

/** Answers every call with these words; `next` says what else happens to it. */
export const scriptedModel = (answer: ReadonlyArray<string>, next: () => Script = () => ({})) => {
  const ledger: Ledger = { calls: 0, input: 0, output: 0, firstWords: [], further: 0 }
  const streamText = (options: LanguageModel.ProviderOptions) =>
    Stream.suspend((): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
      ledger.calls++
      const { every = 0, failAt, latency = 0 } = next()
      const begun = Stream.fromEffectDrain(Effect.sleep(latency))
      if (failAt === "start") return Stream.concat(begun, Stream.fail(overloaded))
      const input = promptWords(options)
      const said = Stream.fromIterable(answer.slice(0, failAt)).pipe(
        Stream.rechunk(1),
        Stream.zipWithIndex,
        Stream.mapEffect(([word, index]) =>
          Effect.sync((): Response.StreamPartEncoded => {
            ledger.output++
            if (index === 0) ledger.firstWords.push(latency)
            else ledger.further++
            return { type: "text-delta", id: "0", delta: `${word} ` }
          }).pipe(Effect.delay(index === 0 ? 0 : every))
        )
      )
      const opened = Stream.fromEffect(Effect.sync((): Response.StreamPartEncoded => {
        ledger.input += input
        return { type: "text-start", id: "0" }
      }))
      const closed: Stream.Stream<Response.StreamPartEncoded, AiError.AiError> = failAt === undefined
        ? Stream.make({ type: "text-end", id: "0" }, finish(input, answer.length))
        : Stream.fail(overloaded)
      return begun.pipe(Stream.concat(opened), Stream.concat(said), Stream.concat(closed))
    })
  const generateText = (options: LanguageModel.ProviderOptions) =>
    Effect.suspend((): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> => {
      ledger.calls++
      const { failAt, latency = 0 } = next()
      if (failAt !== undefined) return Effect.delay(Effect.fail(overloaded), latency)
      return Effect.sync((): Array<Response.PartEncoded> => {
        const input = promptWords(options)
        ledger.input += input
        ledger.output += answer.length
        return [
          { type: "response-metadata", modelId: "scripted-2" },
          { type: "text", text: answer.join(" ") },
          finish(input, answer.length)
        ]
      }).pipe(Effect.delay(latency))
    })
  const layer = Layer.effect(LanguageModel.LanguageModel, LanguageModel.make({ generateText, streamText }))
  return { layer, ledger }
}
