/** Where speech is transcribed and spoken: at real services, or at simulated ones. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Reader, Variable } from "../config/variables.ts"

/** A service that speaks OpenAI's audio API. */
export interface Service {
  readonly baseUrl: string
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
}

/**
 * A service and the one to ask when it does not answer. Simulated ones come as a pair. A real one has a real backup or none:
 * words that nobody said are worse than no words.
 */
export type Pair =
  | { readonly _tag: "Simulated" }
  | { readonly _tag: "Real"; readonly primary: Service; readonly backup: Service | undefined }

/** What speech is made of. */
export interface Speech {
  readonly stt: Pair
  readonly tts: Pair
  /** Whose voice it is, in the words of the service. */
  readonly voice: string
  /** Of the simulated services' faults. */
  readonly seed: number
}

/** The kinds of variables that are read here. */
interface Variables {
  readonly url: Variable<string>
  readonly secret: Variable<Redacted.Redacted>
  readonly text: Variable<string>
}

/** Reads where a kind of service is: `STT_URL`, `STT_API_KEY`, `STT_MODEL`, and `STT_BACKUP_URL` and so on. */
export const pair = Effect.fnUntraced(
  function*(name: "STT" | "TTS", model: string, read: Reader, variables: Variables, complaints: Array<string>) {
    const service = Effect.fnUntraced(function*(prefix: string) {
      const baseUrl = yield* read(`${prefix}_URL`, variables.url, undefined)
      const apiKey = yield* read(`${prefix}_API_KEY`, variables.secret, undefined)
      const named = yield* read(`${prefix}_MODEL`, variables.text, model)
      return baseUrl === undefined && apiKey === undefined
        ? undefined
        : { baseUrl: baseUrl ?? "https://api.openai.com/v1", apiKey, model: named } satisfies Service
    })
    const primary = yield* service(name)
    const backup = yield* service(`${name}_BACKUP`)
    if (primary !== undefined) return { _tag: "Real", primary, backup } satisfies Pair
    if (backup !== undefined) complaints.push(`${name}_BACKUP_URL is the backup of ${name}_URL, which is not set`)
    return { _tag: "Simulated" } satisfies Pair
  }
)
