/** What the operator's groups have in common: wrong input is a problem of theirs, and no reply is to be kept by anybody. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Problem from "../../../http/Problem.ts"
import { invalidRequest } from "../invalidRequest.ts"
import { InvalidRequest } from "./problems.ts"

/**
 * The middleware of the groups that says what is wrong with a request in a problem of a type that their clients know, whatever
 * is around the server. The layers of the groups bring it along.
 *
 * @category services
 * @since 0.1.0
 */
export class Replies extends HttpApiMiddleware.Service<Replies>()("effect-resilience/http/AdminApi/Replies", {
  error: InvalidRequest
}) {}

export const layer: Layer.Layer<Replies> = Layer.succeed(Replies, (endpoint) =>
  Effect.andThen(
    HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "cache-control", "no-store"))
    ),
    Effect.catch(endpoint, (error) => {
      const found = HttpApiError.HttpApiSchemaError.is(error) ? invalidRequest(error) : undefined
      return Effect.fail(
        found === undefined
          ? error
          : new InvalidRequest({ ...Problem.says(found.message), errors: found.errors })
      )
    })
  ))

const strict = { errors: "all", onExcessProperty: "error" } as const

/** A name that is misspelt is told, and not taken for one that was left out: `dryrun` would redrive. */
export const strictInput: Context.Context<never> = Context.empty().pipe(
  Context.add(HttpApi.ParamsParseOptions, strict),
  Context.add(HttpApi.QueryParseOptions, strict),
  Context.add(HttpApi.PayloadParseOptions, strict)
)
