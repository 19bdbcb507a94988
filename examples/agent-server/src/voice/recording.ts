/** Looks at what a client sent before anybody is asked about it. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Wav from "../audio/wav.ts"

/** These bytes are no recording that can be transcribed. */
export class BadRecording extends Data.TaggedError("BadRecording")<{ readonly problem: Wav.Problem }> {
  override readonly message = `The recording cannot be used: ${this.problem}`
}

/** Nothing is said in the recording. */
export class NothingSaid extends Data.TaggedError("NothingSaid") {
  override readonly message = "Nothing is said in the recording"
}

/** Fails for what is no WAV file, has nothing in it, or is quieter than `silence`, a share of full scale. */
export const check = (bytes: Uint8Array, silence: number): Effect.Effect<Wav.Wav, BadRecording | NothingSaid> =>
  Effect.gen(function*() {
    const read = Wav.read(bytes)
    if (read._tag !== "Wav") return yield* new BadRecording({ problem: read._tag })
    if (read.wav.peak < silence) return yield* new NothingSaid()
    return read.wav
  })
