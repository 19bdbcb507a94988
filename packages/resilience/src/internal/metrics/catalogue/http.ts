/** Requests received and sent. Unknown routes are `_unmatched`, unknown methods `_OTHER`. */
import { type Entry, requests, sizes } from "./entry.ts"

export const http = {
  http_server_request_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["http_request_method", "http_route", "http_response_status_code", "error_type"],
    buckets: requests,
    help: "How long requests took to answer",
    from: "HttpMetrics"
  },
  http_requests_total: {
    type: "counter",
    unit: "count",
    labels: ["method", "endpoint", "status"],
    help: "Requests that were answered",
    from: "HttpMetrics"
  },
  http_server_active_requests: {
    type: "gauge",
    unit: "count",
    labels: [],
    help: "Requests that are being answered",
    from: "HttpMetrics"
  },
  http_server_request_body_size_bytes: {
    type: "histogram",
    unit: "bytes",
    labels: ["http_request_method", "http_route"],
    buckets: sizes,
    help: "Size of the bodies received",
    from: "HttpMetrics"
  },
  http_server_response_body_size_bytes: {
    type: "histogram",
    unit: "bytes",
    labels: ["http_request_method", "http_route"],
    buckets: sizes,
    help: "Size of the bodies sent",
    from: "HttpMetrics"
  },
  http_server_time_to_first_byte_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["http_request_method", "http_route"],
    buckets: requests,
    help: "How long the first byte of an answer took",
    from: "HttpMetrics"
  },
  http_server_client_aborts_total: {
    type: "counter",
    unit: "count",
    labels: ["http_route"],
    help: "Requests whose client went away before the answer was complete",
    from: "HttpMetrics"
  },
  http_client_request_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["method", "server_address", "status", "error_type"],
    buckets: requests,
    help: "How long requests to others took, one observation an attempt",
    from: "HttpMetrics"
  },
  middleware_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["middleware"],
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    help: "How long a middleware took, without what it wraps",
    from: "HttpMetrics"
  },
  auth_failures_total: {
    type: "counter",
    unit: "count",
    labels: ["reason"],
    values: { reason: ["missing", "unknown", "forbidden"] },
    help: "Requests whose credentials were refused",
    from: "Metrics.layer"
  },
  load_shed_total: {
    type: "counter",
    unit: "count",
    labels: ["reason"],
    values: { reason: ["Shed"] },
    help: "Calls that were turned away because there were too many",
    from: "Metrics.layer"
  }
} as const satisfies Record<string, Entry>
