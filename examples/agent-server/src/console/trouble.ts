/** What can go wrong with a request, and how it is told in plain words. */

/**
 * - `Unreachable`: there was no answer
 * - `Stopped`: this page gave up waiting, because somebody said so
 * - `BrokenOff`: the answer ended before its end, or made no sense
 * - `Problem`: the server said what is wrong
 */
export type Trouble =
  | { readonly _tag: "Unreachable"; readonly offline: boolean }
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "BrokenOff" }
  | Problem

/** Problem details of the server. */
export interface Problem {
  readonly _tag: "Problem"
  readonly status: number
  readonly code: string
  readonly title: string
  readonly message: string
  readonly requestId: string | undefined
  /** What is wrong with what was sent, and where, when the server tells it piece by piece. */
  readonly errors: ReadonlyArray<{ readonly path: string; readonly message: string }>
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined

const errorsIn = (value: unknown): Problem["errors"] =>
  (Array.isArray(value) ? value : []).filter(isRecord).map(({ message, path }) => ({
    path: text(path) ?? "",
    message: text(message) ?? ""
  }))

/** A problem of the server, from the JSON of its body; something in between may have answered with anything else. */
export const problem = (body: unknown, status: number): Problem => {
  const members = isRecord(body) ? body : {}
  return {
    _tag: "Problem",
    status: typeof members["status"] === "number" ? members["status"] : status,
    code: text(members["code"]) ?? "unknown",
    title: text(members["title"]) ?? "The request failed",
    message: text(members["message"]) ?? text(members["detail"]) ?? `The server answered with status ${status}.`,
    requestId: text(members["request_id"]),
    errors: errorsIn(members["errors"])
  }
}

/** What a person reads. */
export interface Words {
  readonly title: string
  readonly advice: string
  /** Whether another key may help. */
  readonly needsKey: boolean
}

/** Titles for people who talk to an agent, where the server's own are for those who build on it. */
const titles: Readonly<Record<string, string>> = {
  unauthorized: "An API key is needed",
  forbidden: "This key is not accepted",
  rate_limit_exceeded: "Too many requests for now",
  provider_rate_limited: "The model is too busy",
  bad_upstream: "The model failed to answer",
  upstream_unavailable: "The model is not available",
  deadline_exceeded: "The reply took too long",
  internal_error: "Something went wrong on the server"
}

const aboutKeys = new Set([401, 403])

/** The trouble in plain words. */
export const words = (trouble: Trouble): Words => {
  switch (trouble._tag) {
    case "Unreachable":
      return trouble.offline
        ? {
          title: "You are offline",
          advice: "Retry when you are back online.",
          needsKey: false
        }
        : {
          title: "The server does not answer",
          advice: "It may be restarting. Retry in a moment.",
          needsKey: false
        }
    case "Stopped":
      return { title: "Stopped", advice: "You stopped this reply. Nothing of it was kept.", needsKey: false }
    case "BrokenOff":
      return {
        title: "The reply broke off",
        advice: "The connection ended in the middle. Retry to ask again.",
        needsKey: false
      }
    case "Problem":
      return {
        title: titles[trouble.code] ?? trouble.title,
        advice: trouble.message,
        needsKey: aboutKeys.has(trouble.status) || trouble.code === "rate_limit_exceeded"
      }
  }
}

/** In one line. */
export const line = (trouble: Trouble): string => {
  const { advice, title } = words(trouble)
  return `${title}. ${advice}`
}
