/**
 * Takes a trace through gRPC, as W3C's `traceparent` in the metadata of a call.
 *
 * It works with the `Metadata` of `@grpc/grpc-js`, and with whatever has its `get` and `set`; nothing is imported from there.
 *
 * **Example** (From a client to a server)
 *
 * ```ts
 * import { GrpcMetadata } from "@effect-resilience/opentelemetry"
 * import { Effect } from "effect"
 *
 * const values = new Map<string, string>()
 * const metadata: GrpcMetadata.Metadata = {
 *   get: (key) => values.has(key) ? [values.get(key)!] : [],
 *   set: (key, value) => values.set(key, value)
 * }
 *
 * const client = Effect.gen(function*() {
 *   yield* GrpcMetadata.inject(metadata)
 *   return (yield* Effect.currentSpan).traceId
 * }).pipe(Effect.withSpan("call", { root: true }))
 * const server = Effect.map(Effect.currentSpan, ({ traceId }) => traceId).pipe(GrpcMetadata.withSpan("serve", metadata))
 *
 * const [called, served] = await Effect.runPromise(Effect.all([client, server]))
 * called === served // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

/**
 * What is needed of gRPC's metadata. Keys are lower case; a value that is not text is binary and not looked at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Metadata {
  readonly get: (key: string) => ReadonlyArray<unknown>
  readonly set: (key: string, value: string) => unknown
}

const traceparent = "traceparent"

/**
 * Puts the current span into the metadata of a call. Without a span nothing is put there.
 *
 * @category propagation
 * @since 0.1.0
 */
export const inject = (metadata: Metadata): Effect.Effect<void> =>
  Effect.map(
    Effect.option(Effect.currentSpan),
    Option.match({
      onNone: () => {},
      onSome: (span) => {
        const value = HttpTraceContext.toHeaders(span)[traceparent]
        if (value !== undefined) metadata.set(traceparent, value)
      }
    })
  )

/**
 * The span of the caller. None where the metadata has no `traceparent`, more than one, or one that is not valid: a call with
 * a broken trace is served, as the beginning of a new one.
 *
 * @category propagation
 * @since 0.1.0
 */
export const extract = (metadata: Metadata): Option.Option<Tracer.ExternalSpan> => {
  const values = metadata.get(traceparent)
  const [value] = values
  return values.length === 1 && typeof value === "string"
    ? HttpTraceContext.w3c(Headers.fromInput({ [traceparent]: value.trim() }))
    : Option.none()
}

/**
 * Serves a call in a span of its own, below the caller's. The metadata is read when the call is.
 *
 * @category propagation
 * @since 0.1.0
 */
export const withSpan =
  (name: string, metadata: Metadata) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Tracer.ParentSpan>> =>
    Effect.suspend(() =>
      Effect.withSpan(
        self,
        name,
        Option.match(extract(metadata), {
          onNone: () => ({ root: true, kind: "server" as const }),
          onSome: (parent) => ({ parent, kind: "server" as const })
        })
      )
    )
