/** Sessions of a voice agent, and the telemetry itself. */
import type { Entry } from "./entry.ts"

const stages = ["asr", "llm", "llm_ttft", "tts", "tts_ttfb", "e2e"] as const
const stage = { labels: ["stage"], values: { stage: stages }, from: "SessionMetrics" } as const
const plain = { labels: [], from: "SessionMetrics" } as const

export const observation = {
  session_stage_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    ...stage,
    buckets: [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10],
    help: "How long a stage of a session took, one observation a measurement"
  },
  session_stage_average_seconds: { type: "gauge", unit: "seconds", ...stage, help: "Mean over the last sessions" },
  session_stage_target_seconds: { type: "gauge", unit: "seconds", ...stage, help: "What a stage should stay below" },
  session_stage_target_met: {
    type: "gauge",
    unit: "state",
    ...stage,
    help: "1 while the mean is within the target, else 0"
  },
  sessions_active: { type: "gauge", unit: "count", ...plain, help: "Sessions that are open" },
  sessions_total: { type: "counter", unit: "count", ...plain, help: "Sessions that ended" },
  session_errors_total: { type: "counter", unit: "count", ...plain, help: "Stages that failed" },
  session_barge_ins_total: { type: "counter", unit: "count", ...plain, help: "Times that a user spoke over the agent" },
  telemetry_spans_total: {
    type: "counter",
    unit: "count",
    labels: ["result"],
    values: { result: ["exported", "dropped_queue", "dropped_export", "unsampled"] },
    help: "Spans that ended, by what became of them",
    from: "Tracing, OtlpExporter"
  },
  telemetry_queue_size: {
    type: "gauge",
    unit: "count",
    labels: [],
    help: "Spans that wait to be exported",
    from: "Tracing, OtlpExporter"
  },
  logs_dropped_total: {
    type: "counter",
    unit: "count",
    labels: ["reason"],
    values: { reason: ["queue", "write"] },
    help: "Log lines that were lost",
    from: "Logging"
  },
  logs_unsampled_total: {
    type: "counter",
    unit: "count",
    labels: [],
    help: "Log lines that sampling left out",
    from: "Logging"
  },
  metrics_series: { type: "gauge", unit: "count", labels: [], help: "Series in the registry", from: "Metrics.layer" },
  metrics_cardinality_overflow_total: {
    type: "counter",
    unit: "count",
    labels: ["metric"],
    help: "Updates of a metric that has as many series as it may have",
    from: "Metrics"
  },
  metrics_invalid_updates_total: {
    type: "counter",
    unit: "count",
    labels: ["metric"],
    help: "Updates that were refused because they are not a number, infinite, or negative where that has no meaning",
    from: "Metrics"
  },
  signals_listener_errors_total: {
    type: "counter",
    unit: "count",
    labels: [],
    help: "Signals that a listener failed to take",
    from: "Signal"
  }
} as const satisfies Record<string, Entry>
