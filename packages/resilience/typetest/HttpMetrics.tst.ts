import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import type * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

type Reply = HttpServerResponse.HttpServerResponse

declare const app: Effect.Effect<Reply, "no", "service">
declare const guarded: (app: Effect.Effect<Reply, "no", "service">) => Effect.Effect<Reply, "refused", "keys">
declare const client: HttpClient.HttpClient.With<"no", "service">

describe("HttpMetrics", () => {
  test("keeps the errors of the application, and needs the request", () => {
    expect(HttpMetrics.middleware()(app))
      .type.toBe<Effect.Effect<Reply, "no", "service" | HttpServerRequest.HttpServerRequest>>()
  })

  test("names routes by the request, or not at all", () => {
    expect(HttpMetrics.middleware).type.toBeCallableWith({ route: () => undefined })
    expect(HttpMetrics.middleware).type.toBeCallableWith({ route: ({ url }: { readonly url: string }) => url })
    expect(HttpMetrics.middleware).type.not.toBeCallableWith({ route: "/v1" })
  })

  test("adds nothing to the middleware that it measures", () => {
    expect(HttpMetrics.timed("keys", guarded)(app)).type.toBe<Effect.Effect<Reply, "refused", "keys">>()
  })

  test("keeps the type of the client", () => {
    expect(HttpMetrics.measure(client)).type.toBe<HttpClient.HttpClient.With<"no", "service">>()
    expect(HttpMetrics.layerClient).type.toBe<
      Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient>
    >()
  })
})
