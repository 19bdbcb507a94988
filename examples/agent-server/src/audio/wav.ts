/**
 * WAV files: 16-bit PCM is written, and PCM of 8 to 32 bits or 32-bit floats are read.
 *
 * A WAV file is a RIFF file: a header, and chunks of which each has four letters, a length and content, padded to an even number of
 * bytes. `fmt ` says how samples are written, `data` has them, `LIST` of the type `INFO` has texts about the recording, of
 * which `ICMT` is a comment. Whoever streams a file does not know its length yet and writes 0 or 0xFFFFFFFF: such a chunk reaches
 * to the end of the file.
 */

/** A recording. */
export interface Wav {
  readonly channels: number
  /** Samples a second, of each channel. */
  readonly sampleRate: number
  readonly bitsPerSample: number
  readonly durationMillis: number
  /** The loudest sample, from 0 to 1. */
  readonly peak: number
  /** What the recording says about itself. */
  readonly comment: string | undefined
}

/** Why some bytes are no recording. */
export type Problem = "NotWav" | "UnsupportedEncoding" | "NoSamples"

/** A recording, or why these bytes are none. */
export type Read = { readonly _tag: "Wav"; readonly wav: Wav } | { readonly _tag: Problem }

interface Format {
  readonly isFloat: boolean
  readonly channels: number
  readonly sampleRate: number
  readonly bitsPerSample: number
}

interface Chunk {
  readonly id: string
  readonly bytes: Uint8Array
}

/** Reads a recording. Never throws, whatever the bytes. */
export const read = (bytes: Uint8Array): Read => {
  if (bytes.length < 12 || ascii(bytes, 0) !== "RIFF" || ascii(bytes, 8) !== "WAVE") return { _tag: "NotWav" }
  const chunks = chunksOf(bytes)
  const head = chunks.find(({ id }) => id === "fmt ")
  const data = chunks.find(({ id }) => id === "data")
  if (head === undefined || head.bytes.length < 16) return { _tag: "NotWav" }
  const format = formatOf(head.bytes)
  if (format === undefined) return { _tag: "UnsupportedEncoding" }
  const frameBytes = format.channels * format.bitsPerSample / 8
  const frames = Math.floor((data?.bytes.length ?? 0) / frameBytes)
  if (data === undefined || frames === 0) return { _tag: "NoSamples" }
  const { bitsPerSample, channels, sampleRate } = format
  return {
    _tag: "Wav",
    wav: {
      channels,
      sampleRate,
      bitsPerSample,
      durationMillis: frames / sampleRate * 1000,
      peak: peakOf(data.bytes.subarray(0, frames * frameBytes), format),
      comment: commentIn(chunks)
    }
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const ascii = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4))

const chunksOf = (bytes: Uint8Array): ReadonlyArray<Chunk> => {
  const chunks: Array<Chunk> = []
  const numbers = view(bytes)
  let at = 12
  while (at + 8 <= bytes.length) {
    const id = ascii(bytes, at)
    const told = numbers.getUint32(at + 4, true)
    const start = at + 8
    // A length that nobody knew when it was written, or that the file does not have: up to the end.
    const isOpen = id === "data" && (told === 0 || told > bytes.length - start)
    const end = isOpen ? bytes.length : Math.min(start + told, bytes.length)
    chunks.push({ id, bytes: bytes.subarray(start, end) })
    at = end + (end - start) % 2
  }
  return chunks
}

const pcm = 1
const float = 3
/** The real format is in the first bytes of the extension. */
const extensible = 0xfffe

const formatOf = (bytes: Uint8Array): Format | undefined => {
  const numbers = view(bytes)
  const tag = numbers.getUint16(0, true)
  const encoding = tag === extensible && bytes.length >= 26 ? numbers.getUint16(24, true) : tag
  const format: Format = {
    isFloat: encoding === float,
    channels: numbers.getUint16(2, true),
    sampleRate: numbers.getUint32(4, true),
    bitsPerSample: numbers.getUint16(14, true)
  }
  const isKnown = encoding === pcm
    ? [8, 16, 24, 32].includes(format.bitsPerSample)
    : encoding === float && format.bitsPerSample === 32
  return isKnown && format.channels > 0 && format.sampleRate > 0 ? format : undefined
}

const peakOf = (bytes: Uint8Array, { bitsPerSample, isFloat }: Format): number => {
  const numbers = view(bytes)
  const step = bitsPerSample / 8
  const sampleAt = (at: number): number => {
    switch (bitsPerSample) {
      case 8:
        return (numbers.getUint8(at) - 128) / 0x80
      case 16:
        return numbers.getInt16(at, true) / 0x8000
      case 24:
        return (numbers.getUint16(at, true) + numbers.getInt8(at + 2) * 0x10000) / 0x80_0000
      default:
        return isFloat ? numbers.getFloat32(at, true) : numbers.getInt32(at, true) / 0x8000_0000
    }
  }
  let peak = 0
  for (let at = 0; at + step <= bytes.length; at += step) peak = Math.max(peak, Math.abs(sampleAt(at)) || 0)
  return Math.min(peak, 1)
}

const commentIn = (chunks: ReadonlyArray<Chunk>): string | undefined => {
  const list = chunks.find(({ bytes, id }) => id === "LIST" && bytes.length >= 4 && ascii(bytes, 0) === "INFO")
  if (list === undefined) return undefined
  // The texts are chunks too, and so is read what follows four letters, as in the file itself.
  const texts = chunksOf(concat([new Uint8Array(8), list.bytes]))
  const comment = texts.find(({ id }) => id === "ICMT")
  return comment === undefined ? undefined : new TextDecoder().decode(comment.bytes).replace(/\0+$/, "")
}

/** What is written: one channel of 16-bit samples. */
export interface Recording {
  readonly sampleRate: number
  readonly samples: Int16Array
  readonly comment?: string | undefined
}

/** The bytes of a file with these samples. */
export const write = ({ comment, sampleRate, samples }: Recording): Uint8Array =>
  concat([header({ sampleRate, samples: samples.length, comment }), pcmBytes(samples)])

/** What comes before the samples, for whoever sends them bit by bit. */
export const header = (
  options: { readonly sampleRate: number; readonly samples: number; readonly comment?: string | undefined }
): Uint8Array => {
  const { comment, sampleRate } = options
  const dataBytes = options.samples * 2
  const format = new Uint8Array(16)
  const numbers = view(format)
  numbers.setUint16(0, pcm, true)
  numbers.setUint16(2, 1, true)
  numbers.setUint32(4, sampleRate, true)
  numbers.setUint32(8, sampleRate * 2, true)
  numbers.setUint16(12, 2, true)
  numbers.setUint16(14, 16, true)
  const body = concat([
    letters("WAVE"),
    chunk("fmt ", format),
    ...(comment === undefined
      ? []
      : [chunk("LIST", concat([letters("INFO"), chunk("ICMT", new TextEncoder().encode(`${comment}\0`))]))])
  ])
  return concat([letters("RIFF"), uint32(body.length + 8 + dataBytes), body, letters("data"), uint32(dataBytes)])
}

/** Samples as they stand in a file. */
export const pcmBytes = (samples: Int16Array): Uint8Array => {
  const bytes = new Uint8Array(samples.length * 2)
  const numbers = view(bytes)
  for (let index = 0; index < samples.length; index++) numbers.setInt16(index * 2, samples[index] ?? 0, true)
  return bytes
}

const letters = (text: string): Uint8Array => new TextEncoder().encode(text)

const uint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  view(bytes).setUint32(0, value, true)
  return bytes
}

const chunk = (id: string, content: Uint8Array): Uint8Array =>
  concat([letters(id), uint32(content.length), content, new Uint8Array(content.length % 2)])

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
