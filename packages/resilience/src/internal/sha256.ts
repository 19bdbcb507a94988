/**
 * SHA-256 (FIPS 180-4), at once: Web Crypto answers later, which is too late for a log line that is written now, and for an
 * API key or a short prompt takes many times as long as the hashing. How long it takes depends on the data's length only.
 */
import * as Hex from "effect/encoding/Hex"

const primes: ReadonlyArray<number> = Array.from({ length: 312 }, (_, index) => index).filter((number) => {
  if (number < 2) return false
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
  return true
})

/** The first 32 bits of the fraction. */
const fraction = (number: number): number => (number - Math.floor(number)) * 2 ** 32 | 0

const constants = Int32Array.from(primes.slice(0, 64), (prime) => fraction(Math.cbrt(prime)))
const initial = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

const blockBytes = 64

/** The data, a one, zeros up to the end of a block, and in its last eight bytes the length in bits. */
const padded = (data: Uint8Array): DataView => {
  const bytes = new Uint8Array(Math.ceil((data.length + 9) / blockBytes) * blockBytes)
  bytes.set(data)
  bytes[data.length] = 0x80
  const view = new DataView(bytes.buffer)
  view.setUint32(bytes.length - 8, Math.floor(data.length / 2 ** 29))
  view.setUint32(bytes.length - 4, data.length * 8 >>> 0)
  return view
}

const rotated = (word: number, bits: number): number => word >>> bits | word << 32 - bits

/** Mixes a block into the state. `words` is room to work in. */
const mix = (state: Int32Array, words: Int32Array, message: DataView, start: number): void => {
  for (let index = 0; index < 16; index++) words[index] = message.getInt32(start + index * 4)
  for (let index = 16; index < 64; index++) {
    const early = words[index - 15]!
    const late = words[index - 2]!
    words[index] = words[index - 16]! + words[index - 7]!
      + (rotated(early, 7) ^ rotated(early, 18) ^ early >>> 3)
      + (rotated(late, 17) ^ rotated(late, 19) ^ late >>> 10)
  }
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!
  let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!
  for (let index = 0; index < 64; index++) {
    const first = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + (e & f ^ ~e & g) + constants[index]!
        + words[index]! | 0
    const second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + (a & b ^ a & c ^ b & c) | 0
    h = g
    g = f
    f = e
    e = d + first | 0
    d = c
    c = b
    b = a
    a = first + second | 0
  }
  state[0] = state[0]! + a | 0
  state[1] = state[1]! + b | 0
  state[2] = state[2]! + c | 0
  state[3] = state[3]! + d | 0
  state[4] = state[4]! + e | 0
  state[5] = state[5]! + f | 0
  state[6] = state[6]! + g | 0
  state[7] = state[7]! + h | 0
}

/** The 32 bytes of the digest. */
export const sha256 = (data: Uint8Array): Uint8Array => {
  const message = padded(data)
  const state = initial.slice()
  const words = new Int32Array(64)
  for (let start = 0; start < message.byteLength; start += blockBytes) mix(state, words, message, start)
  const digest = new DataView(new ArrayBuffer(32))
  for (let index = 0; index < 8; index++) digest.setInt32(index * 4, state[index]!)
  return new Uint8Array(digest.buffer)
}

/** The digest of a text, in hexadecimal digits. */
export const sha256Hex = (text: string): string => Hex.encode(sha256(new TextEncoder().encode(text)))
