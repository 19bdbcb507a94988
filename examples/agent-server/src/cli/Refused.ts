/** Why a command could not be done, in words for whoever gave it. */
import * as Data from "effect/Data"
import * as HttpClientError from "effect/http/HttpClientError"
import * as Predicate from "effect/Predicate"
import type { Target } from "./Operator.ts"

/** A sentence, and what to do. Never a secret. */
export class Refused extends Data.TaggedError("Refused")<{ readonly sentence: string }> {}

/** Says what the client of this server failed with. */
export const refusedBy = ({ adminKey, url }: Target) => (error: unknown): Refused => {
  if (error instanceof Refused) return error
  const at = withoutCredentials(url)
  if (Predicate.isTagged(error, "Unauthorized") || Predicate.isTagged(error, "Forbidden")) {
    return new Refused({
      sentence: adminKey === undefined
        ? `The server at ${at} asks for its admin key: set ADMIN_KEY, or give it with --admin-key.`
        : `The server at ${at} does not know this admin key. Is it the one in the server's ADMIN_KEY?`
    })
  }
  if (HttpClientError.isHttpClientError(error)) return new Refused({ sentence: ofConnection(error, at) })
  // A problem of the server's says in its message what there is to say.
  if (Predicate.hasProperty(error, "code") && Predicate.hasProperty(error, "message")) {
    return new Refused({ sentence: String(error.message) })
  }
  return new Refused({ sentence: noAgentServer(at) })
}

const noAgentServer = (at: string) => `What answers at ${at} is no agent server of this version.`

const ofConnection = (error: HttpClientError.HttpClientError, at: string): string => {
  switch (error.reason._tag) {
    case "TransportError":
      return `There is no answer from ${at} (${codeIn(error)}). Is the server running? --url says where it is.`
    case "InvalidUrlError":
      return `${at} is no URL.`
    default:
      return error.response !== undefined && error.response.status === 503
        ? `The server at ${at} cannot answer now (503). Try again in a little while.`
        : noAgentServer(at)
  }
}

/** Network errors are wrapped once or twice; the innermost says most. */
const codeIn = (error: unknown): string => {
  let at = error
  let code = "connection failed"
  for (let depth = 0; depth < 5 && typeof at === "object" && at !== null; depth++) {
    if (Predicate.hasProperty(at, "code") && typeof at.code === "string") code = at.code
    at = Predicate.hasProperty(at, "cause") ? at.cause : undefined
  }
  return code
}

const withoutCredentials = (url: string): string => {
  if (!URL.canParse(url)) return JSON.stringify(url)
  const { host, protocol } = new URL(url)
  return `${protocol}//${host}`
}
