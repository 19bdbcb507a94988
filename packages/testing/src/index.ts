/**
 * Contract suites and private real servers for tests.
 *
 * @since 0.1.0
 */
export * as CircuitBreakerStoreSuite from "./CircuitBreakerStoreSuite.ts"
export * as CircuitHistory from "./CircuitHistory.ts"
export * as CircuitModel from "./CircuitModel.ts"
export * as DeadLetterStoreSuite from "./DeadLetterStoreSuite.ts"
export * as Dependency from "./Dependency.ts"
export * as Eventually from "./Eventually.ts"
export * as Faults from "./Faults.ts"
export * as HaProxyServer from "./HaProxyServer.ts"
export * as OtlpCollector from "./OtlpCollector.ts"
export * as PostgresServer from "./PostgresServer.ts"
export * as PrometheusServer from "./PrometheusServer.ts"
export * as RateLimiterStoreSuite from "./RateLimiterStoreSuite.ts"
export * as RealServer from "./RealServer.ts"
export * as RedisServer from "./RedisServer.ts"
export * as SqlClientSuite from "./SqlClientSuite.ts"
