/**
 * OpenTelemetry's SDK for effect-resilience.
 *
 * @since 0.1.0
 */
export * as GrpcMetadata from "./GrpcMetadata.ts"
export * as OtelSdk from "./OtelSdk.ts"
