/** What is in a letter: the payload as text, the headers, and what went wrong in full. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Encryption, Sealed } from "./encryption.ts"
import { PayloadUnencodable, PayloadUnreadable } from "./errors.ts"
import type { Redaction, Redactor } from "./redaction.ts"

/**
 * What is in a letter beside its payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Contents {
  /** The payload as it is stored: JSON text, byte for byte, whether or not it can be decoded. */
  readonly raw: string
  readonly headers: Readonly<Record<string, string>>
  /** The error that killed it and what caused that, outermost first. */
  readonly causes: ReadonlyArray<string>
  readonly stack?: string | undefined
}

const Open = Schema.Struct({
  payload: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String),
  causes: Schema.Array(Schema.String),
  stack: Schema.optionalKey(Schema.String)
})
const OpenJson = Schema.fromJsonString(Open)
const SealedJson = Schema.fromJsonString(Schema.Struct({ sealed: Sealed }))
const decodeOpen = Schema.decodeUnknownResult(OpenJson)
const decodeSealed = Schema.decodeUnknownResult(SealedJson)

export interface Codec<A> {
  readonly version: number
  /** The payload as text, without what is to be redacted. */
  readonly encode: (payload: A) => Effect.Effect<string, PayloadUnencodable>
  readonly decode: (raw: string, version: number) => Result.Result<A, string>
  readonly write: (id: string, contents: Contents) => Effect.Effect<string, PayloadUnencodable>
  readonly read: (id: string, body: string) => Effect.Effect<Contents, PayloadUnreadable>
}

export const make = <A>(options: {
  readonly name: string
  readonly schema: Schema.Codec<A, unknown>
  readonly version: number
  readonly upcast: ((payload: unknown, version: number) => unknown) | undefined
  readonly redact: Redaction<A> | undefined
  readonly redactor: Redactor
  readonly encrypt: Encryption | undefined
}): Codec<A> => {
  const { encrypt, name, redactor, upcast, version } = options
  const json = Schema.toCodecJson(options.schema)
  const encodeJson = Schema.encodeUnknownResult(json)
  const decodeJson = Schema.decodeUnknownResult(json)
  const unencodable = (reason: string) => new PayloadUnencodable({ queue: name, reason })
  const parse = (raw: string, from: number): Result.Result<A, string> => {
    try {
      const parsed: unknown = JSON.parse(raw)
      const current = from !== version && upcast !== undefined ? upcast(parsed, from) : parsed
      // The issue would quote the payload: it says what was expected, and errors are logged.
      return Result.mapError(decodeJson(current), () => `it does not fit the schema (version ${from} of ${version})`)
    } catch (error) {
      return Result.fail(error instanceof SyntaxError ? "it is no JSON" : "its upcaster failed")
    }
  }
  return {
    version,
    encode: (payload) =>
      Effect.suspend(() => {
        const changed = options.redact?.payload === undefined ? payload : options.redact.payload(payload)
        const encoded = encodeJson(changed)
        if (Result.isFailure(encoded)) return Effect.fail(unencodable("it does not fit the schema"))
        return Effect.succeed(JSON.stringify(redactor.payload(encoded.success)) ?? "null")
      }),
    decode: parse,
    write: (id, { causes, headers, raw, stack }) => {
      const text = JSON.stringify({ payload: raw, headers, causes, stack })
      return encrypt === undefined
        ? Effect.succeed(text)
        : encrypt.seal(text, id).pipe(
          Effect.map((sealed) => JSON.stringify({ sealed })),
          Effect.mapError(() => unencodable("it could not be sealed"))
        )
    },
    read: (id, body) => {
      const unreadable = (reason: PayloadUnreadable["reason"], detail: string) =>
        new PayloadUnreadable({ queue: name, id, reason, detail })
      const contents = (text: string) =>
        Result.match(decodeOpen(text), {
          onSuccess: ({ payload, ...rest }): Effect.Effect<Contents, PayloadUnreadable> =>
            Effect.succeed({ raw: payload, ...rest }),
          onFailure: () => Effect.fail(unreadable("Undecodable", "its record is corrupt"))
        })
      const sealed = decodeSealed(body)
      if (!Result.isSuccess(sealed)) return contents(body)
      const { key } = sealed.success.sealed
      if (encrypt === undefined) return Effect.fail(unreadable("KeyMissing", `it is sealed with the key "${key}"`))
      return Effect.matchEffect(encrypt.open(sealed.success.sealed, id), {
        onSuccess: contents,
        onFailure: (reason) =>
          Effect.fail(
            unreadable(
              reason,
              reason === "KeyMissing" ? `the key "${key}" is missing` : "it was changed since it was sealed"
            )
          )
      })
    }
  }
}
