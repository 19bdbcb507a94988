/**
 * Node layers of effect-resilience.
 *
 * @since 0.1.0
 */
export * as NodeMetrics from "./NodeMetrics.ts"
export * as NodeProfiler from "./NodeProfiler.ts"
export * as NodeServer from "./NodeServer.ts"
export * as SqliteClient from "./SqliteClient.ts"
