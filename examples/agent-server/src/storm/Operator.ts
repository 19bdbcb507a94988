/** An instance, as its operator speaks to it. */
import type * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Redacted from "effect/Redacted"
import { Api } from "../api/Api.ts"

/** All endpoints of the instance there, each request with this key. */
export const at = (origin: string, adminKey: Redacted.Redacted) =>
  HttpApiClient.make(Api, {
    baseUrl: origin,
    transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(adminKey))
  })

export type Operator = Effect.Success<ReturnType<typeof at>>
