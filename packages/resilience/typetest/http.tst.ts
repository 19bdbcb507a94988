import type * as Bulkhead from "effect-resilience/Bulkhead"
import type * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as Admission from "effect-resilience/http/Admission"
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Problem from "effect-resilience/http/Problem"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RateLimitHeaders from "effect-resilience/http/RateLimitHeaders"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

declare const app: Effect.Effect<HttpServerResponse.HttpServerResponse, "no", "service">
declare const client: HttpClient.HttpClient.With<"no", "service">

type Reply = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

describe("middleware", () => {
  test("keeps the errors of the application, and needs the request", () => {
    expect(RequestId.middleware(app)).type.toBe<Effect.Effect<Reply, "no", "service" | Request>>()
    expect(ClientAddress.middleware({ trustedProxies: [] })(app))
      .type.toBe<Effect.Effect<Reply, "no", "service" | Request>>()
    expect(ApiKey.middleware()(app)).type.toBe<Effect.Effect<Reply, "no", "service" | Request | ApiKey.ApiKeys>>()
    expect(Admission.middleware(app))
      .type.toBe<Effect.Effect<Reply, "no", "service" | Request | Scope.Scope | Admission.Admission>>()
  })

  test("ProblemReplies leaves no error", () => {
    expect(ProblemReplies.middleware()(app)).type.toBe<Effect.Effect<Reply, never, "service" | Request>>()
  })

  test("layers guard a router", () => {
    expect(RequestId.layer).type.toBe<Layer.Layer<never, never, HttpRouter.HttpRouter>>()
    expect(ApiKey.layer()).type.toBe<Layer.Layer<never, never, HttpRouter.HttpRouter | ApiKey.ApiKeys>>()
    expect(ClientAddress.layerConfig({ trustedProxies: Config.succeed([]) }))
      .type.toBe<Layer.Layer<never, Config.ConfigError, HttpRouter.HttpRouter>>()
  })
})

describe("ApiKey.requireScope", () => {
  test("adds its two problems to the errors", () => {
    expect(ApiKey.requireScope(Effect.fail("no"), "write"))
      .type.toBe<Effect.Effect<never, string | ApiKey.Unauthorized | ApiKey.Forbidden, Request>>()
    expect(app.pipe(ApiKey.requireScope("write")))
      .type.toBe<Effect.Effect<Reply, "no" | ApiKey.Unauthorized | ApiKey.Forbidden, "service" | Request>>()
  })
})

describe("RequestId.sendOn", () => {
  test("keeps the type of the client", () => {
    expect(RequestId.sendOn(client)).type.toBe<HttpClient.HttpClient.With<"no", "service">>()
  })
})

describe("Admission.Limit", () => {
  test("is what the package's limits are", () => {
    expect<Bulkhead.Bulkhead["Service"]>().type.toBeAssignableTo<Admission.Limit>()
    expect<ConcurrencyLimit.ConcurrencyLimit["Service"]>().type.toBeAssignableTo<Admission.Limit>()
    expect<ConcurrencyLimit.Shedder["Service"]>().type.toBeAssignableTo<Admission.Limit>()
  })
})

describe("codes and dialects", () => {
  test("a misspelt one does not compile", () => {
    expect(Problem.reply).type.not.toBeCallableWith("overlaoded", { message: "" })
    expect(Problem.reply).type.toBeCallableWith("overloaded", { message: "" })
    expect(RateLimitHeaders.encode).type.not.toBeCallableWith([], { now: 0, dialects: ["open-ai"] })
  })
})
