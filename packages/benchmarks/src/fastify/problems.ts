/** Errors as clients get them: RFC 9457 problem details with a stable `code`. */
import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from "fastify"

const kinds = {
  invalid_request: { status: 400, title: "Invalid request" },
  unauthorized: { status: 401, title: "Key needed" },
  route_not_found: { status: 404, title: "No such endpoint" },
  agent_not_found: { status: 404, title: "No such agent" },
  session_not_found: { status: 404, title: "No such session" },
  wrong_agent: { status: 409, title: "Session of another agent" },
  session_busy: { status: 409, title: "Session is busy" },
  body_too_large: { status: 413, title: "Body too large" },
  message_too_long: { status: 413, title: "Message too long" },
  unsupported_media_type: { status: 415, title: "Unsupported media type" },
  rate_limit_exceeded: { status: 429, title: "Rate limit exceeded" },
  provider_rate_limited: { status: 429, title: "Rate limit exceeded" },
  internal_error: { status: 500, title: "Internal error" },
  bad_upstream: { status: 502, title: "Provider failed" },
  upstream_unavailable: { status: 503, title: "Provider unavailable" },
  storage_unavailable: { status: 503, title: "Storage unavailable" },
  deadline_exceeded: { status: 504, title: "Took too long" }
} as const

type Code = keyof typeof kinds

/** A failure that a client is told. The members stand beside those that every problem has. */
export class Problem extends Error {
  readonly code: Code
  readonly members: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, members: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.members = members
  }

  get statusCode(): number {
    return kinds[this.code].status
  }

  body(requestId: string): Record<string, unknown> {
    const { status, title } = kinds[this.code]
    return {
      type: `/problems/${this.code}`,
      status,
      title,
      detail: this.message,
      code: this.code,
      message: this.message,
      request_id: requestId,
      ...this.members
    }
  }
}

/** What everybody is told who has used up a limit. */
export const rateLimited = (seconds: number, members: Readonly<Record<string, unknown>>): Problem =>
  new Problem(
    "rate_limit_exceeded",
    `Rate limit exceeded. Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`,
    { error: "rate_limit_exceeded", retry_after: seconds, ...members }
  )

/** What everybody is told whose request is not what it must be, with everything that is wrong with it. */
const invalidRequest = (message: string, errors: ReadonlyArray<ReturnType<typeof field>>): Problem =>
  new Problem("invalid_request", message, { errors })

const field = ({ instancePath, message, params }: FastifySchemaValidationError) => ({
  in: "body",
  path: String(params["missingProperty"] ?? instancePath.slice(1).replaceAll("/", ".")),
  message: message ?? "is wrong"
})

/** The problem for whatever was thrown. */
export const problemOf = (error: FastifyError, request: FastifyRequest, maxBodyBytes: number): Problem => {
  if (error instanceof Problem) return error
  if (error.validation !== undefined) {
    return invalidRequest("The request is not what it must be.", error.validation.map(field))
  }
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new Problem("body_too_large", `The body is larger than ${maxBodyBytes} bytes.`, { limit: maxBodyBytes })
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new Problem(
        "unsupported_media_type",
        `Bodies of type ${request.headers["content-type"]?.slice(0, 100)} are not read here. Send application/json.`
      )
    default:
      return (error.statusCode ?? 500) < 500
        ? invalidRequest("The body is not JSON.", [{ in: "body", path: "", message: "must be JSON" }])
        : new Problem("internal_error", "Something went wrong on our side.")
  }
}

/** Sends a problem. */
export const sendProblem = (reply: FastifyReply, problem: Problem): FastifyReply => {
  const retryAfter = problem.members["retry_after"]
  if (retryAfter !== undefined) reply.header("retry-after", String(retryAfter))
  if (problem.code === "unauthorized") reply.header("www-authenticate", "Bearer error=\"invalid_token\"")
  return reply
    .code(problem.statusCode)
    .header("content-type", "application/problem+json")
    .send(JSON.stringify(problem.body(reply.request.id)))
}
