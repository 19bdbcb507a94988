/** How providers are reached. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"

/**
 * A client that sends the request's id on with every call, and measures each. Calls beyond so many `connections` to a
 * provider wait for a free one.
 */
export const client = (connections: number): Layer.Layer<HttpClient.HttpClient> =>
  RequestId.layerClient.pipe(
    Layer.provide(HttpMetrics.layerClient),
    Layer.provide(NodeHttpClient.layerUndiciOptions({ connections }))
  )
