/**
 * The traces of the server: which ones are kept, where they go, and what the spans of requests are called.
 *
 * One in a hundred is kept, and every one in which something went wrong; `OTEL_TRACES_SAMPLER` says otherwise. They go to
 * the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`; without one they are not recorded, and calls to providers carry their ids all the
 * same.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as Tracing from "effect-resilience/Tracing"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as Layer from "effect/Layer"
import { isPolled, type Routes } from "../http/Routes.ts"
import { orCannotStart } from "../startup/CannotStart.ts"

/** Samples, and exports what is kept. Logs once which traces those are. */
export const layer = Tracing.layer().pipe(
  Layer.provideMerge(Layer.provide(OtlpExporter.layerFromEnv, NodeHttpClient.layerUndici)),
  orCannotStart((error) => error.message)
)

/** Names the spans of requests by their routes, and has none for those that come every few seconds and say nothing. */
export const ofRequests = (table: Routes): Layer.Layer<never> =>
  Layer.mergeAll(
    Layer.succeed(HttpMiddleware.SpanNameGenerator)((request) =>
      `${request.method} ${table.find(request.url)?.path ?? "_unmatched"}`
    ),
    Layer.succeed(HttpMiddleware.TracerDisabledWhen)((request) => {
      const route = table.find(request.url)
      return route !== undefined && isPolled(route)
    })
  )
