/** How providers are reached. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as RequestId from "effect-resilience/http/RequestId"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"

/** Unlike `NodeHttpClient.layerUndici` it adds no services to those of a call, of which it needs none. */
const undici = Layer.effect(HttpClient.HttpClient, NodeHttpClient.makeUndici)

/**
 * A client that sends the request's id on with every call, and measures each. Calls beyond so many `connections` to a
 * provider wait for a free one.
 */
export const client = (connections: number): Layer.Layer<HttpClient.HttpClient> =>
  RequestId.layerClient.pipe(
    Layer.provide(HttpMetrics.layerClient),
    Layer.provide(undici),
    Layer.provide(NodeHttpClient.layerDispatcherOptions({ connections }))
  )
