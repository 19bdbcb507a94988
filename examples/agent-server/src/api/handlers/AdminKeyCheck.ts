/** Lets requests through that carry the operator's key. */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import { says } from "../../http/Problem.ts"
import { AdminKey } from "../AdminKey.ts"
import { Forbidden, Unauthorized } from "../Problems.ts"

/** The check, for this key. Wherever in the request the key is, the same rule holds. */
export const layer = (adminKey: Redacted.Redacted): Layer.Layer<AdminKey> => {
  const expected = digest(Redacted.value(adminKey))
  const check = Effect.gen(function*() {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const bearer = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1]
    const keys = [bearer, headers["x-api-key"]].filter(Predicate.isNotUndefined)
    if (keys.length === 0) {
      return yield* new Unauthorized(
        says("This endpoint needs a key: send \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\".")
      )
    }
    if (!keys.some((key) => timingSafeEqual(digest(key), expected))) {
      return yield* new Forbidden(says("This key does not open this endpoint."))
    }
  })
  return Layer.succeed(AdminKey, {
    bearer: (endpoint) => Effect.andThen(check, endpoint),
    apiKey: (endpoint) => Effect.andThen(check, endpoint)
  })
}

/** Digests are all of one length, so that comparing them tells nothing about the key. */
const digest = (key: string): Buffer => createHash("sha256").update(key).digest()
