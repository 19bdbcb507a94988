/**
 * A collector of traces for tests: a real HTTP server that reads OTLP as Protocol Buffers and as JSON, keeps the spans,
 * and misbehaves when told to.
 *
 * **Example** (What an exporter sends)
 *
 * ```ts
 * import { OtlpCollector } from "@effect-resilience/testing"
 * import { Effect, Layer } from "effect"
 * import { OtlpExporter } from "effect-resilience"
 * import { FetchHttpClient } from "effect/http"
 *
 * const program = Effect.gen(function*() {
 *   const collector = yield* OtlpCollector.make
 *   const exporter = OtlpExporter.layer({ url: `${collector.url}/v1/traces`, resource: { serviceName: "agent" } })
 *   yield* Effect.void.pipe(
 *     Effect.withSpan("turn"),
 *     Effect.provide(Layer.provide(exporter, FetchHttpClient.layer))
 *   )
 *   return collector.spans.map(({ name, resource }) => [name, resource["service.name"]])
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [["turn", "agent"]]
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"
import { decodeSpans } from "./internal/otlpProtobuf.ts"

/**
 * A span as it arrived.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: { readonly [name: string]: unknown }
  readonly events: ReadonlyArray<
    { readonly name: string; readonly attributes: { readonly [name: string]: unknown } }
  >
  /** `code`: 0 for not set, 1 for good, 2 for an error. */
  readonly status: { readonly code: number; readonly message: string }
  /** The attributes of who sent it. */
  readonly resource: { readonly [name: string]: unknown }
}

/**
 * What the collector does with a request that has arrived.
 *
 * - `"accept"`: takes the spans, and says so
 * - `"hang"`: keeps the spans to itself and never answers
 * - `{ status }`: refuses them. `headers` go with that
 * - `{ delayMillis }`: takes them, and says so later
 * - `{ body }`: takes them, and answers 200 with this
 * - `"reset"`: cuts the connection
 *
 * @category models
 * @since 0.1.0
 */
export type Behaviour =
  | "accept"
  | "hang"
  | "reset"
  | { readonly status: number; readonly headers?: { readonly [name: string]: string } | undefined }
  | { readonly delayMillis: number }
  | { readonly body: Uint8Array | string; readonly contentType: string }

/**
 * A running collector.
 *
 * - `url`: where it listens, without a path
 * - `spans`: those that it took, in order
 * - `requests`: the headers and path of each, in order, and how many spans it had
 * - `inFlight`, `mostInFlight`: requests without an answer, now and at the worst time
 * - `behave`: what it does from now on, by the number of the request, from 0
 *
 * @category models
 * @since 0.1.0
 */
export interface OtlpCollector {
  readonly url: string
  readonly spans: ReadonlyArray<ReceivedSpan>
  readonly requests: ReadonlyArray<
    { readonly path: string; readonly headers: IncomingHttpHeaders; readonly spans: number }
  >
  readonly inFlight: number
  readonly mostInFlight: number
  readonly behave: (behaviour: Behaviour | ((request: number) => Behaviour)) => void
}

/**
 * A collector on a free port of this machine, which takes everything until it is told otherwise. It is closed, with its connections,
 * when the scope is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<OtlpCollector, never, Scope.Scope> = Effect.gen(function*() {
  const collector = new Collector()
  const server = createServer((request, response) => collector.take(request, response))
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  // A server that listens on a port has an address of this shape.
  collector.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return collector
})

class Collector implements OtlpCollector {
  url = ""
  readonly spans: Array<ReceivedSpan> = []
  readonly requests: Array<{ path: string; headers: IncomingHttpHeaders; spans: number }> = []
  inFlight = 0
  mostInFlight = 0
  private behaviour: (request: number) => Behaviour = () => "accept"

  behave(behaviour: Behaviour | ((request: number) => Behaviour)): void {
    this.behaviour = typeof behaviour === "function" ? behaviour : () => behaviour
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    this.inFlight++
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    response.once("close", () => this.inFlight--)
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.once("end", () => {
      const raw = Buffer.concat(chunks)
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw
      const isJson = request.headers["content-type"]?.includes("json") === true
      const spans = isJson ? spansOfJson(body) : decodeSpans(body)
      const nth = this.requests.length
      this.requests.push({ path: request.url ?? "", headers: request.headers, spans: spans.length })
      this.answer(this.behaviour(nth), spans, response, isJson ? "application/json" : "application/x-protobuf")
    })
  }

  private answer(
    behaviour: Behaviour,
    spans: ReadonlyArray<ReceivedSpan>,
    response: ServerResponse,
    contentType: string
  ): void {
    const accept = (body: Uint8Array | string, type: string) => {
      this.spans.push(...spans)
      response.writeHead(200, { "content-type": type }).end(body)
    }
    if (behaviour === "hang") return
    if (behaviour === "reset") return void response.socket?.destroy()
    const empty = contentType === "application/json" ? "{}" : ""
    if (behaviour === "accept") return accept(empty, contentType)
    if ("status" in behaviour) return void response.writeHead(behaviour.status, behaviour.headers).end()
    if ("delayMillis" in behaviour) {
      setTimeout(() => accept(empty, contentType), behaviour.delayMillis)
      return
    }
    accept(behaviour.body, behaviour.contentType)
  }
}

interface JsonValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string | number
  readonly doubleValue?: number | string
  readonly arrayValue?: { readonly values: ReadonlyArray<JsonValue> }
}

type JsonAttributes = ReadonlyArray<{ readonly key: string; readonly value: JsonValue }>

interface JsonSpan extends Omit<ReceivedSpan, "attributes" | "events" | "status" | "resource"> {
  readonly attributes?: JsonAttributes
  readonly events?: ReadonlyArray<{ readonly name: string; readonly attributes?: JsonAttributes }>
  readonly status?: { readonly code?: number; readonly message?: string }
}

const spansOfJson = (body: Uint8Array): ReadonlyArray<ReceivedSpan> => {
  // OTLP/JSON, by its definition; a sender that does otherwise makes the reading throw, or the test that looks fail.
  const { resourceSpans } = JSON.parse(new TextDecoder().decode(body)) as {
    readonly resourceSpans: ReadonlyArray<{
      readonly resource?: { readonly attributes?: JsonAttributes }
      readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<JsonSpan> }>
    }>
  }
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span): ReceivedSpan => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId,
        name: span.name,
        kind: span.kind,
        startTimeUnixNano: span.startTimeUnixNano,
        endTimeUnixNano: span.endTimeUnixNano,
        attributes: attributesOf(span.attributes),
        events: (span.events ?? []).map(({ attributes, name }) => ({ name, attributes: attributesOf(attributes) })),
        status: { code: span.status?.code ?? 0, message: span.status?.message ?? "" },
        resource: attributesOf(resource?.attributes)
      }))
    )
  )
}

const attributesOf = (attributes: JsonAttributes = []): { readonly [name: string]: unknown } =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]))

const valueOf = ({ arrayValue, boolValue, doubleValue, intValue, stringValue }: JsonValue): unknown =>
  stringValue ?? boolValue ?? (intValue === undefined ? undefined : Number(intValue))
    ?? (doubleValue === undefined ? undefined : Number(doubleValue)) ?? arrayValue?.values.map(valueOf)
