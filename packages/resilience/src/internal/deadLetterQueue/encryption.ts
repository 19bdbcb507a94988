/** Sealing what is in a letter: a key of its own for each, wrapped by one that can be rotated. */
import * as Aead from "effect/crypto/Aead"
import type * as CryptoError from "effect/crypto/CryptoError"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * Seals the payload, the headers and the causes of each letter. Made by {@link encryption}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encryption {
  readonly current: string
  readonly seal: (text: string, about: string) => Effect.Effect<Sealed, CryptoError.CryptoError>
  readonly open: (sealed: Sealed, about: string) => Effect.Effect<string, "KeyMissing" | "Tampered">
}

/** `key` names the wrapping key. `wrapped` and `data` are a nonce and what it sealed, in base64url. */
export const Sealed = Schema.Struct({ key: Schema.String, wrapped: Schema.String, data: Schema.String })
export type Sealed = typeof Sealed.Type

/**
 * Envelope encryption: each letter is sealed with a random key of its own (AES-256-GCM), and that key is sealed with
 * `keys[current]`. Metadata (state, times, kind, message, fingerprint) stays readable and searchable.
 *
 * To rotate, add a key and make it `current`: new letters use it, old ones are read with the key they were sealed with, for
 * as long as it is among `keys`. A letter that is edited is sealed anew. A letter whose key is missing is given back
 * when it is redriven, not quarantined.
 *
 * **Example** (Letters that only this key opens)
 *
 * ```ts
 * import { Effect, Layer, Result, Schema } from "effect"
 * import { Aead, SecureRandom } from "effect/crypto"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const key = yield* Effect.flatMap(Aead.Aead, (aead) => aead.generateKey(Aead.aes256Gcm))
 *   const encrypt = yield* DeadLetterQueue.encryption({ keys: { "2026-01": key }, current: "2026-01" })
 *   const queue = yield* DeadLetterQueue.make({ name: "mail", schema: Schema.String, encrypt })
 *   const id = yield* queue.offer("dear reader", { error: new Error("no route") })
 *   return (yield* queue.get(id)).payload
 * })
 * const crypto = Aead.layerWebCrypto.pipe(Layer.provideMerge(SecureRandom.layerWebCrypto))
 * await Effect.runPromise(
 *   Effect.scoped(program).pipe(Effect.provide([crypto, DeadLetterQueue.layerStoreMemory]))
 * ) // => Result.succeed("dear reader")
 * ```
 *
 * Throws a `RangeError` when `current` is not among `keys`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const encryption = (options: {
  /** The wrapping keys, by a name that is stored with each letter. Each of an AES-256-GCM or ChaCha20 algorithm. */
  readonly keys: Readonly<Record<string, Aead.Key>>
  /** The name of the key that new letters are sealed with. */
  readonly current: string
}): Effect.Effect<Encryption, never, Aead.Aead | SecureRandom.SecureRandom> => {
  const keys = new Map(Object.entries(options.keys))
  if (!keys.has(options.current)) {
    throw new RangeError(`current must be one of ${[...keys.keys()].join(", ")}, got ${options.current}`)
  }
  return Effect.gen(function*() {
    const aead = yield* Aead.Aead
    const random = yield* SecureRandom.SecureRandom
    const utf8 = new TextEncoder()
    const text = new TextDecoder("utf-8", { fatal: true })

    const sealWith = Effect.fnUntraced(function*(key: Aead.Key, plain: Uint8Array, aad: Uint8Array) {
      const nonce = yield* random.randomBytes(key.algorithm.nonceLength)
      const sealed = yield* aead.encrypt(key, plain, { nonce, aad })
      const both = new Uint8Array(nonce.length + sealed.length)
      both.set(nonce)
      both.set(sealed, nonce.length)
      return Base64Url.encode(both)
    })
    const openWith = Effect.fnUntraced(function*(key: Aead.Key, sealed: string, aad: Uint8Array) {
      const both = yield* Effect.fromResult(Base64Url.decode(sealed))
      const nonce = both.subarray(0, key.algorithm.nonceLength)
      return yield* aead.decrypt(key, both.subarray(nonce.length), { nonce, aad })
    })

    return {
      current: options.current,
      seal: Effect.fnUntraced(function*(plain, about) {
        const key = yield* aead.generateKey(Aead.aes256Gcm)
        const aad = utf8.encode(about)
        const wrapping = keys.get(options.current)!
        return {
          key: options.current,
          wrapped: yield* sealWith(wrapping, yield* Effect.orDie(Aead.toBytes(key)), aad),
          data: yield* sealWith(key, utf8.encode(plain), aad)
        }
      }),
      open: (sealed, about) => {
        const wrapping = keys.get(sealed.key)
        if (wrapping === undefined) return Effect.fail("KeyMissing" as const)
        const aad = utf8.encode(about)
        return Effect.gen(function*() {
          const bytes = yield* openWith(wrapping, sealed.wrapped, aad)
          const key = yield* Aead.key(Aead.aes256Gcm, bytes)
          const plain = yield* openWith(key, sealed.data, aad)
          return yield* Effect.fromResult(Result.try({ try: () => text.decode(plain), catch: () => "not text" }))
        }).pipe(Effect.mapError(() => "Tampered" as const))
      }
    } satisfies Encryption
  })
}
