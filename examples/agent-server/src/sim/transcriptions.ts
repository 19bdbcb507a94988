/**
 * A provider that speaks OpenAI's speech-to-text: a WAV file becomes the text that is said in it.
 *
 * It cannot hear. What is said in a recording is its comment, if it has one, as those of the simulated speech do; else a
 * sentence that depends on how long the recording is; and nothing, where it is silent.
 */
import * as Effect from "effect/Effect"
import * as Wav from "../audio/wav.ts"
import { invalid, refusal } from "./openaiErrors.ts"
import { atOnce, type Call, encode, meet, type Provider, refuse, type Reply } from "./provider.ts"

/** `POST /audio/transcriptions`. */
export const transcriptions = (provider: Provider): Reply =>
  meet(provider, refusal, (call) =>
    Effect.matchEffect(formOf(call), {
      onFailure: () => refuse(provider, invalid("The body is not a form with a file.")),
      onSuccess: (form) => answer(provider, form, call.truncateAt)
    }))

/** Node reads forms of several parts, if given them as a reply. */
const formOf = ({ body, headers }: Call) =>
  Effect.tryPromise(() =>
    // `slice` makes it bytes of an ArrayBuffer, which is what a reply may be made of.
    new Response(body.slice(), { headers: { "content-type": headers["content-type"] ?? "" } }).formData()
  )

interface Form {
  readonly file: Blob
  readonly format: "json" | "text"
}

/** What a form asks for, or what is wrong with it. */
const requestIn = (form: FormData): Form | string => {
  const model = form.get("model")
  const file = form.get("file")
  const format = form.get("response_format") ?? "json"
  if (typeof model !== "string" || model === "") return "you must provide a model parameter"
  if (file === null || typeof file === "string") return "you must provide a file parameter"
  return format === "json" || format === "text" ? { file, format } : "response_format must be json or text"
}

const answer = (provider: Provider, form: FormData, truncateAt: number | undefined): Reply =>
  Effect.gen(function*() {
    const request = requestIn(form)
    if (typeof request === "string") return yield* refuse(provider, invalid(request))
    const bytes = yield* Effect.promise(() => request.file.arrayBuffer())
    const read = Wav.read(new Uint8Array(bytes))
    if (read._tag !== "Wav") {
      return yield* refuse(provider, invalid("The audio file could not be decoded or its format is not supported."))
    }
    const text = saidIn(read.wav)
    return yield* atOnce(provider, {
      bytes: encode(request.format === "text" ? `${text}\n` : JSON.stringify({ text })),
      contentType: request.format === "text" ? "text/plain; charset=utf-8" : "application/json",
      truncateAt,
      bill: (page) => {
        page.audioMillis += Math.round(read.wav.durationMillis)
      }
    })
  })

const sentences = [
  "Plan a weekend in Lisbon for two.",
  "How do I get from Porto to Madrid by train?",
  "What should I see in Kyoto in three days?",
  "Ask me about the Krebs cycle."
] as const

/** The same recording always says the same. */
const saidIn = (wav: Wav.Wav): string => {
  if (wav.comment !== undefined) return wav.comment
  return wav.peak === 0 ? "" : sentences[Math.floor(wav.durationMillis / 100) % sentences.length] ?? sentences[0]
}
