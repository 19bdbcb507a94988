/**
 * Node layers of effect-resilience.
 *
 * @since 0.1.0
 */
export * as SqliteClient from "./SqliteClient.ts"
