/** The variables that say which traces there are. */
import * as OtlpCollector from "@effect-resilience/testing/OtlpCollector"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { startFresh } from "../../support/server.ts"
import { until } from "../../support/until.ts"
import { chatOf, type Effects } from "./kit.ts"

export const effects: Effects = {
  "which traces are kept, and where they go": {
    variables: [
      "OTEL_TRACES_SAMPLER",
      "OTEL_TRACES_SAMPLER_ARG",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "OTEL_EXPORTER_OTLP_HEADERS",
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      "OTEL_EXPORTER_OTLP_COMPRESSION",
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      "OTEL_SERVICE_NAME",
      "OTEL_RESOURCE_ATTRIBUTES",
      "OTEL_BSP_SCHEDULE_DELAY"
    ],
    row: Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const server = yield* startFresh({
        OTEL_TRACES_SAMPLER: "traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "1",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=contract",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_TIMEOUT: "30000",
        OTEL_SERVICE_NAME: "contract-agents",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
        OTEL_BSP_SCHEDULE_DELAY: "100"
      })
      expect(server.output()).toContain("TraceIdRatioBased{1}")
      yield* chatOf(server)
      yield* until(
        Effect.sync(() => collector.spans),
        (spans) => spans.some(({ name }) => name === "POST /v1/agents/:agent/chat")
      )
      expect(collector.spans[0]?.resource).toMatchObject({
        "service.name": "contract-agents",
        "deployment.environment.name": "test"
      })
      expect(collector.requests[0]?.headers).toMatchObject({
        "x-tenant": "contract",
        "content-type": "application/json",
        "content-encoding": "gzip"
      })
    })
  }
}
