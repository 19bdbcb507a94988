/**
 * The name that a client gives its request, so that sending it again does not do it again.
 *
 * It comes in the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), a structured string in quotes, which
 * many clients leave out, or in the body.
 */
import * as ApiKey from "effect-resilience/http/ApiKey"
import { ClientAddress } from "effect-resilience/http/ClientAddress"
import { says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as Problems from "./Problems.ts"

/** Visible characters of ASCII, spaces inside, at most 255. */
const sane = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/

/** A caller with its name for a request; `undefined` where it gave none. */
export const named = (
  header: string | undefined,
  inBody: string | null | undefined
): Effect.Effect<{ readonly caller: string; readonly name: string } | undefined, Problems.InvalidRequest> =>
  Effect.gen(function*() {
    const inHeader = header === undefined ? undefined : unquoted(header.trim())
    if (inHeader !== undefined && !sane.test(inHeader)) return yield* invalid("header", "idempotency-key", mustBe)
    if (typeof inBody === "string" && !sane.test(inBody)) return yield* invalid("body", "idempotency_key", mustBe)
    if (inHeader !== undefined && typeof inBody === "string" && inHeader !== inBody) {
      return yield* invalid("body", "idempotency_key", "must be the same as in the header Idempotency-Key")
    }
    const name = inHeader ?? inBody ?? undefined
    return name === undefined ? undefined : { caller: yield* callerName, name }
  })

const mustBe = "must be 1 to 255 visible ASCII characters"

const invalid = (where: "header" | "body", path: string, message: string) =>
  new Problems.InvalidRequest({
    ...says(`The ${where === "header" ? "header Idempotency-Key" : "field idempotency_key"} ${message}.`),
    errors: [{ in: where, path, message }]
  })

/** A structured string: in quotes, with `\"` and `\\` in it. Anything else is taken as it is. */
const unquoted = (text: string): string =>
  /^"(?:[^"\\]|\\["\\])*"$/.test(text) ? text.slice(1, -1).replaceAll(/\\(["\\])/g, "$1") : text

/** Nobody without a key can have the name of a key: no key's name has a colon in it. */
const callerName = Effect.gen(function*() {
  const caller = yield* ApiKey.Caller
  if (caller !== ApiKey.anonymous) return `key:${caller.name}`
  const client = yield* ClientAddress
  return `address:${client?.key ?? "unknown"}`
})
