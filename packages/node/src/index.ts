/**
 * Node layers of effect-resilience.
 *
 * @since 0.1.0
 */
export * as NodeServer from "./NodeServer.ts"
export * as SqliteClient from "./SqliteClient.ts"
