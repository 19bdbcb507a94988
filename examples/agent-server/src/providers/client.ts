/** How providers are reached. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as policies from "../policies.ts"

/** A client that sends the request's id on with every call, and measures each. */
export const client: Layer.Layer<HttpClient.HttpClient> = RequestId.layerClient.pipe(
  Layer.provide(HttpMetrics.layerClient),
  Layer.provide(NodeHttpClient.layerUndiciOptions({ connections: policies.providerConnections }))
)
