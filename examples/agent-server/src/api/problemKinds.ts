/**
 * The kinds of problems that the API answers with: a row for each code. The codes are a promise: none is ever changed or
 * used again. `GET /problems/{code}`, which is the `type` of a problem, shows the row to a person.
 *
 * `499` is not among the statuses: it is logged for a client that went away, and nobody is there to read a reply.
 */

/** The table. */
export const problemKinds = {
  invalid_request: {
    status: 400,
    title: "Invalid request",
    meaning: "The request does not have the shape it must have; 'errors' names everything that is wrong with it."
  },
  malformed_request: {
    status: 400,
    title: "Malformed request",
    meaning: "The request could not be read: its body broke off, or it is not HTTP."
  },
  unauthorized: {
    status: 401,
    title: "Key needed",
    meaning: "There is no key in the request, and the endpoint needs one."
  },
  forbidden: {
    status: 403,
    title: "Not allowed",
    meaning: "The key in the request does not open this endpoint."
  },
  route_not_found: {
    status: 404,
    title: "No such endpoint",
    meaning: "No endpoint has this path."
  },
  agent_not_found: {
    status: 404,
    title: "No such agent",
    meaning: "There is no agent of this name."
  },
  session_not_found: {
    status: 404,
    title: "No such session",
    meaning: "There is no session of this id: it was deleted, or never was."
  },
  circuit_breaker_not_found: {
    status: 404,
    title: "No such circuit breaker",
    meaning: "There is no circuit breaker of this name."
  },
  rate_limit_policy_not_found: {
    status: 404,
    title: "No such policy",
    meaning: "There is no rate limit policy of this name."
  },
  letter_not_found: {
    status: 404,
    title: "No such letter",
    meaning: "There is no dead letter of this id: it never was, or it was evicted."
  },
  fallback_route_not_found: {
    status: 404,
    title: "No such route",
    meaning: "There is no fallback chain of this name, or none of its routes is called that."
  },
  service_not_found: {
    status: 404,
    title: "No such service",
    meaning: "There is no health check of this name; the message says which there are."
  },
  not_simulated: {
    status: 404,
    title: "Providers are not simulated",
    meaning: "The server uses real providers: there is nothing to inject faults into."
  },
  method_not_allowed: {
    status: 405,
    title: "Method not allowed",
    meaning: "The path exists, and not with this method; the 'Allow' header lists those it has."
  },
  request_timeout: {
    status: 408,
    title: "Request timeout",
    meaning: "The request did not arrive within the time that the server waits for one."
  },
  wrong_agent: {
    status: 409,
    title: "Session of another agent",
    meaning: "A session belongs to the agent that it began with."
  },
  session_busy: {
    status: 409,
    title: "Session is busy",
    meaning: "Too many turns of this session are waiting for the one before them."
  },
  letter_refused: {
    status: 409,
    title: "Not in this state",
    meaning: "The dead letter is in a state in which this cannot be done; 'state' says which."
  },
  idempotency_key_in_use: {
    status: 409,
    title: "Request is being answered",
    meaning:
      "A request with the same 'Idempotency-Key' is being answered just now; sent again later, it gets the same reply."
  },
  turn_interrupted: {
    status: 409,
    title: "Turn interrupted",
    meaning: "The user went on speaking: a newer turn of the session began before this one had ended."
  },
  body_too_large: {
    status: 413,
    title: "Body too large",
    meaning: "The body has more bytes than the server reads."
  },
  message_too_long: {
    status: 413,
    title: "Message too long",
    meaning: "The message has more characters than an agent takes."
  },
  unsupported_media_type: {
    status: 415,
    title: "Unsupported media type",
    meaning: "The body is of a type that the endpoint does not read."
  },
  content_refused: {
    status: 422,
    title: "Content refused",
    meaning: "The model will not answer this message: the provider's content policy refused it."
  },
  context_too_long: {
    status: 422,
    title: "Context too long",
    meaning: "The message and its history do not fit into the model."
  },
  policy_document_invalid: {
    status: 422,
    title: "Invalid policies",
    meaning: "The document of policies cannot be put in force; 'errors' names everything that is wrong with it."
  },
  idempotency_key_reused: {
    status: 422,
    title: "Key of another request",
    meaning: "The 'Idempotency-Key' was used with another request. A new request needs a new key."
  },
  invalid_audio: {
    status: 422,
    title: "Invalid audio",
    meaning: "The body is no recording that can be transcribed: no WAV file, an empty one, or one of an unusual kind."
  },
  no_speech: {
    status: 422,
    title: "No speech",
    meaning: "Nothing is said in the recording."
  },
  headers_too_large: {
    status: 431,
    title: "Headers too large",
    meaning: "The request's headers are larger than the server reads."
  },
  rate_limit_exceeded: {
    status: 429,
    title: "Rate limit exceeded",
    meaning: "The caller, or the agent, has had as many requests as it may have for now."
  },
  rate_limiter_unavailable: {
    status: 503,
    title: "Rate limiter unavailable",
    meaning: "Nobody knows whether there is room for the request."
  },
  provider_rate_limited: {
    status: 429,
    title: "Rate limit exceeded",
    meaning: "The provider refuses more requests for now, and went on refusing."
  },
  internal_error: {
    status: 500,
    title: "Internal error",
    meaning: "The server is at fault. The log has more under the same 'request_id'."
  },
  bad_upstream: {
    status: 502,
    title: "Provider failed",
    meaning: "The provider failed, or answered something that makes no sense."
  },
  upstream_unavailable: {
    status: 503,
    title: "Provider unavailable",
    meaning: "The provider cannot take requests now."
  },
  storage_unavailable: {
    status: 503,
    title: "Storage unavailable",
    meaning: "The store of what was asked for cannot be read or written now."
  },
  overloaded: {
    status: 503,
    title: "Overloaded",
    meaning: "The server has too much to do to take the request; nothing of it was started."
  },
  shutting_down: {
    status: 503,
    title: "Shutting down",
    meaning: "The server stops, and has ended the request."
  },
  deadline_exceeded: {
    status: 504,
    title: "Took too long",
    meaning: "There was no answer within the time that a request may take."
  }
} as const

/** A code of the table. */
export type ProblemCode = keyof typeof problemKinds

/** What declares the class of a kind of problem. */
export const kind = <const Code extends ProblemCode>(code: Code): {
  readonly type: `/problems/${Code}`
  readonly status: (typeof problemKinds)[Code]["status"]
  readonly title: (typeof problemKinds)[Code]["title"]
} => ({
  type: `/problems/${code}`,
  status: problemKinds[code].status,
  title: problemKinds[code].title
})
