/** The problems that this package's own middleware answers with. */

/** What a problem is called and which status it has, by its code. The titles are the phrases of the statuses. */
export const problemKinds = {
  invalid_request: { status: 400, title: "Bad Request" },
  malformed_request: { status: 400, title: "Bad Request" },
  unauthorized: { status: 401, title: "Unauthorized" },
  forbidden: { status: 403, title: "Forbidden" },
  route_not_found: { status: 404, title: "Not Found" },
  method_not_allowed: { status: 405, title: "Method Not Allowed" },
  body_too_large: { status: 413, title: "Content Too Large" },
  unsupported_media_type: { status: 415, title: "Unsupported Media Type" },
  rate_limit_exceeded: { status: 429, title: "Too Many Requests" },
  headers_too_large: { status: 431, title: "Request Header Fields Too Large" },
  internal_error: { status: 500, title: "Internal Server Error" },
  overloaded: { status: 503, title: "Service Unavailable" },
  shutting_down: { status: 503, title: "Service Unavailable" },
  deadline_exceeded: { status: 504, title: "Gateway Timeout" }
} as const
