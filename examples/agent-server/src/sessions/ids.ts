/** Ids that nobody can guess: whoever knows a session's can read it. */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"

const bytesOfId = 16

/** Asking for random bytes costs much more than getting them, so they are asked for by the hundred ids. */
const idsAtOnce = 256

let bytes: Uint8Array = new Uint8Array(0)
let used = 0

/** A new id, of 128 random bits. */
export const makeUnsafe = (): string => {
  if (used === bytes.length) {
    bytes = SecureRandom.randomBytesUnsafe(bytesOfId * idsAtOnce)
    used = 0
  }
  return Base64Url.encode(bytes.subarray(used, used += bytesOfId))
}
