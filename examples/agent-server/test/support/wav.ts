/** Recordings to send: a tone, with a comment that says what is said in it, or silence. */
import * as Wav from "../../src/audio/wav.ts"

const sampleRate = 16_000

/** A recording of half a second in which this is said, for whoever reads comments; without words only a tone. */
export const recordingOf = (comment?: string, seconds = 0.5): Uint8Array =>
  Wav.write({
    sampleRate,
    samples: Int16Array.from(
      { length: sampleRate * seconds },
      (_, index) => 8_000 * Math.sin(2 * Math.PI * 220 * index / sampleRate)
    ),
    comment
  })

/** A recording in which nothing is said. */
export const silence = (seconds = 0.5): Uint8Array =>
  Wav.write({ sampleRate, samples: new Int16Array(sampleRate * seconds) })
