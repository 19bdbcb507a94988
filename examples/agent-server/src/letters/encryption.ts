/** Sealing letters with keys of the environment. */
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Aead from "effect/crypto/Aead"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

/** A key by its name, 32 bytes. */
export interface LetterKey {
  readonly name: string
  readonly key: Redacted.Redacted<Uint8Array>
}

/**
 * Reads `name:hex,name:hex`: keys of 64 hexadecimal digits, the one that new letters are sealed with first. Fails with a line
 * that has nothing of the text in it.
 */
export const parse = (text: string): Result.Result<ReadonlyArray<LetterKey>, string> => {
  const keys: Array<LetterKey> = []
  for (const [index, entry] of text.split(",").map((each) => each.trim()).filter((each) => each !== "").entries()) {
    const [, name, hex] = /^([A-Za-z0-9._-]{1,64}):([0-9a-fA-F]{64})$/.exec(entry) ?? []
    const bytes = hex === undefined ? undefined : Hex.decode(hex)
    if (name === undefined || bytes === undefined || Result.isFailure(bytes)) {
      return Result.fail(`entry ${index + 1} must be a name, a colon and 64 hexadecimal digits`)
    }
    if (keys.some((key) => key.name === name)) return Result.fail(`entry ${index + 1} has the name of one before it`)
    keys.push({ name, key: Redacted.make(bytes.success) })
  }
  return Result.succeed(keys)
}

/** What seals letters, or `undefined` where there are no keys. */
export const encryptionWith = (
  keys: ReadonlyArray<LetterKey>
): Effect.Effect<DeadLetterQueue.Encryption | undefined> => {
  const [current] = keys
  if (current === undefined) return Effect.undefined
  return Effect.gen(function*() {
    const opened: Record<string, Aead.Key> = {}
    // They have the length that the algorithm asks for: `parse` saw to it.
    for (const { key, name } of keys) opened[name] = yield* Effect.orDie(Aead.key(Aead.aes256Gcm, Redacted.value(key)))
    return yield* DeadLetterQueue.encryption({ keys: opened, current: current.name })
  }).pipe(Effect.provide(Layer.provideMerge(Aead.layerWebCrypto, SecureRandom.layerWebCrypto)))
}
