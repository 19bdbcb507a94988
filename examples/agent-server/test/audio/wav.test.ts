/** Recordings: what is written can be read, what others write too, and no bytes are too strange. */
import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Wav from "../../src/audio/wav.ts"

const samples = Int16Array.from({ length: 1600 }, (_, index) => index % 2 === 0 ? 16_384 : -16_384)

const u16 = (value: number) => [value & 255, value >> 8]
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)]

const file = (format: ReadonlyArray<number>, data: ReadonlyArray<number>, dataLength = data.length): Uint8Array =>
  Uint8Array.from([
    ...Buffer.from("RIFF\0\0\0\0WAVEfmt "),
    ...u32(format.length),
    ...format,
    ...Buffer.from("data"),
    ...u32(dataLength),
    ...data
  ])

/** One channel of 8,000 samples a second. */
const format = (encoding: number, bits: number): ReadonlyArray<number> => [
  ...u16(encoding),
  ...u16(1),
  ...u32(8000),
  ...u32(8000 * bits / 8),
  ...u16(bits / 8),
  ...u16(bits)
]

describe("a recording", () => {
  it("that was written is read, with and without a comment", () => {
    for (const comment of [undefined, "Lisbon?", "odd", "Grüße 😀"]) {
      const bytes = Wav.write({ sampleRate: 16_000, samples, comment })
      expect(Wav.read(bytes)).toEqual({
        _tag: "Wav",
        wav: { channels: 1, sampleRate: 16_000, bitsPerSample: 16, durationMillis: 100, peak: 0.5, comment }
      })
      // The length in the file's header is that of the file.
      expect(new DataView(bytes.buffer).getUint32(4, true)).toBe(bytes.length - 8)
    }
  })

  it("of every usual kind of sample is as loud as it is", () => {
    const floats = [...new Uint8Array(Float32Array.of(0, -0.25).buffer)]
    for (
      const [encoding, bits, data, peak] of [
        [1, 8, [128, 64], 0.5],
        [1, 16, [0, 0, 0, 0x40], 0.5],
        [1, 24, [0, 0, 0, 0, 0, 0xc0], 0.5],
        [1, 32, [0, 0, 0, 0x40], 0.5],
        [3, 32, floats, 0.25]
      ] as const
    ) {
      const read = Wav.read(file(format(encoding, bits), data))
      expect(read._tag === "Wav" && [read.wav.bitsPerSample, read.wav.peak]).toEqual([bits, peak])
    }
  })

  it("of the extensible kind says what it is in its extension", () => {
    const extended = [
      ...format(0xfffe, 16),
      ...u16(22),
      ...u16(16),
      ...u32(0),
      ...u16(1),
      ...u32(0),
      ...u32(0),
      ...u32(0)
    ]
    expect(Wav.read(file(extended, [0, 0, 0, 0x40]))).toMatchObject({ _tag: "Wav", wav: { peak: 0.5 } })
  })

  it("that was streamed, and whose length nobody knew, reaches to the end", () => {
    const data = Array.from({ length: 1600 }, () => 1)
    for (const told of [0, 0xffff_ffff, 1_000_000]) {
      expect(Wav.read(file(format(1, 16), data, told))).toMatchObject({ _tag: "Wav", wav: { durationMillis: 100 } })
    }
  })

  it("that is silent has no peak", () => {
    const read = Wav.read(Wav.write({ sampleRate: 8_000, samples: new Int16Array(80) }))
    expect(read._tag === "Wav" && read.wav.peak).toBe(0)
  })
})

describe("what is no recording", () => {
  it("is told from one, and why", () => {
    const whole = Wav.write({ sampleRate: 16_000, samples })
    for (
      const [bytes, problem] of [
        [new Uint8Array(0), "NotWav"],
        [Buffer.from("ID3 this is an mp3, or so it says"), "NotWav"],
        [Buffer.from("RIFF\0\0\0\0AVI "), "NotWav"],
        [Buffer.from("RIFF\0\0\0\0WAVE"), "NotWav"],
        [whole.subarray(0, 30), "NotWav"],
        [whole.subarray(0, 44), "NoSamples"],
        [Wav.write({ sampleRate: 16_000, samples: new Int16Array(0) }), "NoSamples"],
        [file(format(1, 16), [1]), "NoSamples"],
        [file(format(0x55, 16), [1, 2]), "UnsupportedEncoding"],
        [file(format(1, 12), [1, 2]), "UnsupportedEncoding"],
        [file([1, 0, 0, 0, ...format(1, 16).slice(4)], [1, 2]), "UnsupportedEncoding"]
      ] as const
    ) {
      expect(Wav.read(bytes)._tag).toBe(problem)
    }
  })

  it.prop(
    "never throws, whatever the bytes after a good beginning",
    { bytes: Schema.Uint8Array },
    ({ bytes }) => {
      const head = Wav.write({ sampleRate: 16_000, samples, comment: "hi" }).subarray(0, bytes.length * 3 % 64)
      for (const strange of [bytes, Uint8Array.from([...head, ...bytes])]) {
        expect(["Wav", "NotWav", "UnsupportedEncoding", "NoSamples"]).toContain(Wav.read(strange)._tag)
      }
    }
  )
})
