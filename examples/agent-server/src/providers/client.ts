/** How providers are reached. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as policies from "../policies.ts"

/** A client that sends the request's id on with every call. */
export const client: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  RequestId.layerClient,
  NodeHttpClient.layerUndiciOptions({ connections: policies.providerConnections })
)
