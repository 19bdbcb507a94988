/** Lets requests through that carry the operator's key. */
import * as ApiKey from "effect-resilience/http/ApiKey"
import { says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { AdminKey } from "../AdminKey.ts"
import { Forbidden, Unauthorized } from "../Problems.ts"

/** The check, for this key. Wherever in the request the key is, the same rule holds. */
export const layer = (adminKey: Redacted.Redacted): Layer.Layer<AdminKey> =>
  Layer.effect(
    AdminKey,
    Effect.gen(function*() {
      const { identify } = yield* ApiKey.makeKeys([{ name: "admin", key: adminKey }])
      const check = Effect.gen(function*() {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        const keys = ApiKey.fromHeaders(headers)
        if (keys.length === 0) {
          return yield* new Unauthorized(
            says("This endpoint needs a key: send \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\".")
          )
        }
        const callers = yield* Effect.forEach(keys, identify)
        if (callers.every((caller) => caller === undefined)) {
          return yield* new Forbidden(says("This key does not open this endpoint."))
        }
      })
      return {
        bearer: (endpoint) => Effect.andThen(check, endpoint),
        apiKey: (endpoint) => Effect.andThen(check, endpoint)
      }
    })
  )
