/**
 * Contract suites and private real servers for tests.
 *
 * @since 0.1.0
 */
export * as Dependency from "./Dependency.ts"
export * as Faults from "./Faults.ts"
export * as PostgresServer from "./PostgresServer.ts"
export * as RealServer from "./RealServer.ts"
export * as RedisServer from "./RedisServer.ts"
export * as SqlClientSuite from "./SqlClientSuite.ts"
