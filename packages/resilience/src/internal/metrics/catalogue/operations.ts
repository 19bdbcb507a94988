/** Health, storage and the process. */
import { type Entry, waits } from "./entry.ts"

const process = { labels: [], from: "NodeMetrics" } as const
const lag = { type: "gauge", unit: "seconds", ...process } as const

export const operations = {
  health_check_status: {
    type: "gauge",
    unit: "state",
    labels: ["check"],
    help: "1 healthy, 0.5 degraded, 0 failed or not known yet",
    from: "Metrics.layer"
  },
  health_check_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["check"],
    buckets: waits,
    help: "How long a probe took",
    from: "Metrics.layer"
  },
  health_ready: {
    type: "gauge",
    unit: "state",
    labels: [],
    from: "Metrics.layer",
    help: "1 while the process wants traffic, else 0"
  },
  db_client_operation_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["db_system_name", "db_operation_name", "error_type"],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    help: "How long statements took",
    from: "StoreMetrics"
  },
  db_client_connection_count: {
    type: "gauge",
    unit: "count",
    labels: ["state"],
    values: { state: ["idle", "used"] },
    help: "Connections of the pool",
    from: "StoreMetrics"
  },
  cache_requests_total: {
    type: "counter",
    unit: "count",
    labels: ["cache", "result"],
    values: { result: ["hit", "miss", "stale"] },
    help: "Times that a cache was asked",
    from: "Metrics.layer"
  },
  process_cpu_user_seconds_total: {
    type: "counter",
    unit: "seconds",
    ...process,
    help: "Processor time of the program"
  },
  process_cpu_system_seconds_total: {
    type: "counter",
    unit: "seconds",
    ...process,
    help: "Processor time of the system for the program"
  },
  process_resident_memory_bytes: { type: "gauge", unit: "bytes", ...process, help: "Memory in use" },
  process_start_time_seconds: {
    type: "gauge",
    unit: "seconds",
    ...process,
    help: "When the process started, since 1970"
  },
  process_open_fds: { type: "gauge", unit: "count", ...process, help: "Open file descriptors" },
  nodejs_heap_size_used_bytes: { type: "gauge", unit: "bytes", ...process, help: "Heap in use" },
  nodejs_heap_size_total_bytes: { type: "gauge", unit: "bytes", ...process, help: "Heap that is reserved" },
  nodejs_external_memory_bytes: { type: "gauge", unit: "bytes", ...process, help: "Memory outside of the heap" },
  nodejs_active_resources: {
    type: "gauge",
    unit: "count",
    labels: ["type"],
    help: "What keeps the event loop alive, by Node's name for it",
    from: "NodeMetrics"
  },
  nodejs_eventloop_lag_min_seconds: { ...lag, help: "Shortest delay of the event loop" },
  nodejs_eventloop_lag_max_seconds: { ...lag, help: "Longest delay of the event loop" },
  nodejs_eventloop_lag_mean_seconds: { ...lag, help: "Mean delay of the event loop" },
  nodejs_eventloop_lag_p50_seconds: { ...lag, help: "Median delay of the event loop" },
  nodejs_eventloop_lag_p90_seconds: { ...lag, help: "Delay of the event loop that 90 % stay below" },
  nodejs_eventloop_lag_p99_seconds: { ...lag, help: "Delay of the event loop that 99 % stay below" },
  nodejs_eventloop_utilization_ratio: {
    type: "gauge",
    unit: "ratio",
    ...process,
    help: "Share of time that the event loop worked"
  },
  nodejs_gc_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["kind"],
    values: { kind: ["major", "minor", "incremental", "weakcb"] },
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
    help: "How long collections of garbage took",
    from: "NodeMetrics"
  },
  nodejs_version_info: {
    type: "gauge",
    unit: "info",
    labels: ["version", "major", "minor", "patch"],
    help: "1, with the version of Node.js in its labels",
    from: "NodeMetrics"
  }
} as const satisfies Record<string, Entry>
