/**
 * A provider that speaks OpenAI's text-to-speech: a text becomes a WAV file that is sent as it is "spoken".
 *
 * The file is a real one, of 16-bit samples: a tone for each word. Its comment is the text, so that the simulated
 * transcription understands it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Wav from "../audio/wav.ts"
import { invalid, refusal } from "./openaiErrors.ts"
import { type Call, meet, type Provider, refuse, type Reply, streamed } from "./provider.ts"
import { piecesOf } from "./replies.ts"
import { sampleRate, samplesOf, soundOf } from "./tone.ts"

/** What the real one takes at most, in characters. */
const maxInput = 4_096

const Request = Schema.Struct({
  model: Schema.NonEmptyString,
  input: Schema.NonEmptyString.check(Schema.isMaxLength(maxInput)),
  voice: Schema.NonEmptyString,
  // The real one has more formats, and another default.
  response_format: Schema.optional(Schema.Literal("wav"))
})

const decodeRequest = Schema.decodeUnknownResult(Schema.fromJsonString(Request))

/** `POST /audio/speech`. */
export const speech = (provider: Provider): Reply =>
  meet(provider, refusal, (call) => Effect.suspend(() => answer(provider, call)))

const answer = (provider: Provider, { body, truncateAt }: Call): Reply => {
  const decoded = decodeRequest(new TextDecoder().decode(body))
  if (decoded._tag === "Failure") return refuse(provider, invalid(decoded.failure.message))
  const { input } = decoded.success
  const spoken = piecesOf(input)
  // A text of nothing but spaces is as long a silence.
  const pieces = spoken.length === 0 ? [input] : spoken
  const samples = pieces.reduce((sum, piece) => sum + samplesOf(piece), 0)
  return streamed(provider, {
    head: Wav.header({ sampleRate, samples, comment: input }),
    pieces: pieces.map((piece) => Wav.pcmBytes(soundOf(piece))),
    ending: [],
    contentType: "audio/wav",
    truncateAt,
    bill: (page, sent) => {
      page.characters += pieces.slice(0, sent).join("").length
    }
  })
}
