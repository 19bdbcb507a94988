/**
 * Rules for the errors of Effect's own modules.
 *
 * The errors are told by their type id, not by `instanceof`: the core must not load the HTTP, SQL, Redis and AI modules
 * of a program that does not use them.
 */
import type * as AiError from "effect/ai/AiError"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as CoreCircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as CoreRateLimiter from "effect/persistence/RateLimiter"
import type * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import type { Info } from "../../Failure.ts"
import * as Http from "./http.ts"
import { dependency, messageOf, read, readString, request } from "./info.ts"
import { networkRule } from "./network.ts"

/** The verdict on the nearest cause that the network rule knows. */
const networkCause = (error: unknown): Info | undefined => {
  let cause = error
  for (let depth = 0; depth < 8 && cause !== undefined; depth++) {
    const info = networkRule(cause)
    if (info !== undefined) return info
    cause = read(cause, "cause")
  }
  return undefined
}

// -----------------------------------------------------------------------------
// effect/http
// -----------------------------------------------------------------------------

const isHttpClientError = (u: unknown): u is HttpClientError.HttpClientError =>
  Predicate.hasProperty(u, "~effect/http/HttpClientError") && Predicate.hasProperty(u, "reason")

export const httpClientErrorRule = (error: unknown, now: number): Info | undefined => {
  if (!isHttpClientError(error)) return undefined
  const { reason } = error
  switch (reason._tag) {
    case "TransportError":
      return networkCause(reason.cause) ?? dependency("Transient", error, { code: reason._tag })
    case "StatusCodeError":
      return Http.fromStatus(reason.response.status, reason.response.headers, messageOf(error), now)
    case "DecodeError":
    case "EmptyBodyError":
      // An error status says more than the body that could not be read. A good status with a bad body is a reply cut
      // short, or something between us and the server answering in its place.
      return reason.response.status >= 400
        ? Http.fromStatus(reason.response.status, reason.response.headers, messageOf(error), now)
        : networkCause(read(reason, "cause")) ?? dependency("Transient", error, { code: reason._tag })
    case "EncodeError":
    case "InvalidUrlError":
      return request("Permanent", error, { code: reason._tag })
  }
}

const isHttpClientResponse = (u: unknown): u is HttpClientResponse.HttpClientResponse =>
  Predicate.hasProperty(u, "~effect/http/HttpClientResponse")

/** A response is a failure by its status; one below 400 is none, and no rule's business. */
export const httpResponseRule = (error: unknown, now: number): Info | undefined =>
  isHttpClientResponse(error) && error.status >= 400
    ? Http.fromStatus(error.status, error.headers, `HTTP status ${error.status}`, now)
    : undefined

// -----------------------------------------------------------------------------
// effect/ai
// -----------------------------------------------------------------------------

const isAiError = (u: unknown): u is AiError.AiError =>
  Predicate.hasProperty(u, "~effect/ai/AiError") && Predicate.hasProperty(u, "reason")

export const aiErrorRule = (error: unknown, now: number): Info | undefined => {
  if (!isAiError(error)) return undefined
  const { reason, retryAfter } = error
  const code = reason._tag
  switch (reason._tag) {
    case "RateLimitError":
      return dependency("RateLimited", error, { code, retryAfter })
    case "InternalProviderError": {
      // The reason has no field for the wait that a 503 asks for, but it may have kept the reply's headers.
      const response = reason.http?.response
      if (response === undefined) return dependency("Transient", error, { code })
      const { kind, retryAfter } = Http.fromStatus(response.status, readable(response.headers), "", now)
      return dependency(kind, error, { code, retryAfter })
    }
    case "NetworkError":
      return reason.reason === "TransportError"
        ? networkCause(reason.cause) ?? dependency("Transient", error, { code })
        : request("Permanent", error, { code })
    case "InvalidResponseError":
    case "InvalidOutputError":
    case "StructuredOutputError":
      return dependency("Transient", error, { code })
    case "QuotaExhaustedError":
    case "AuthenticationError":
      return dependency("Permanent", error, { code })
    case "InvalidRequestError":
      return request("Permanent", error, { code: isContextTooLong(reason) ? "ContextTooLong" : code })
    case "ToolNotFoundError":
    case "ToolParameterValidationError":
      // The model called a tool wrongly; asked again it may not.
      return request("Transient", error, { code })
    case "UnknownError":
      return dependency("Permanent", error, { code })
    default:
      return request("Permanent", error, { code })
  }
}

const readable = (headers: Readonly<Record<string, unknown>>): Http.Headers =>
  Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === "string"))

/** OpenAI's code, and the words of the providers that only have words. */
const contextTooLong = /context[_ ](length|window)|maximum context|prompt is too long|too many (input )?tokens/i

const isContextTooLong = (reason: AiError.InvalidRequestError): boolean =>
  contextTooLong.test(`${reason.description ?? ""} ${reason.constraint ?? ""} ${reason.parameter ?? ""}`)
  || contextTooLong.test(reason.http?.body ?? "")

// -----------------------------------------------------------------------------
// effect/persistence
// -----------------------------------------------------------------------------

/** First words of Redis' error replies. `ERR` and everything not listed is a wrong command. */
const redisReplies: Readonly<Record<string, "Transient" | "Overloaded" | "Denied">> = {
  ASK: "Transient",
  BUSY: "Overloaded",
  CLUSTERDOWN: "Transient",
  LOADING: "Overloaded",
  MASTERDOWN: "Transient",
  MISCONF: "Overloaded",
  MOVED: "Transient",
  NOAUTH: "Denied",
  NOPERM: "Denied",
  NOREPLICAS: "Transient",
  OOM: "Overloaded",
  READONLY: "Transient",
  TRYAGAIN: "Transient",
  UNBLOCKED: "Transient",
  UNKILLABLE: "Overloaded",
  WRONGPASS: "Denied"
}

/** node-redis names its errors by class only. */
const redisClasses: Readonly<Record<string, "Transient" | "Timeout" | "Cancelled">> = {
  AbortError: "Cancelled",
  ClientClosedError: "Transient",
  ClientOfflineError: "Transient",
  CommandTimeoutDuringMaintenanceError: "Timeout",
  ConnectionTimeoutError: "Timeout",
  DisconnectsClientError: "Transient",
  MaxCommandRedirectionsError: "Transient",
  ReconnectStrategyError: "Transient",
  RootNodesUnavailableError: "Transient",
  SocketClosedUnexpectedlyError: "Transient",
  SocketTimeoutDuringMaintenanceError: "Timeout",
  SocketTimeoutError: "Timeout",
  TimeoutError: "Timeout",
  WatchError: "Transient"
}

export const redisErrorRule = (error: unknown): Info | undefined => {
  if (!Predicate.hasProperty(error, "~effect/persistence/Redis/RedisError")) return undefined
  const thrown = read(error, "cause")
  // A client that gives up reconnecting keeps what the socket or the server said last.
  const cause = read(thrown, "socketError") ?? thrown
  const network = networkCause(cause)
  if (network !== undefined) return network
  const className = readString(read(cause, "constructor"), "name") ?? ""
  const byClass = Object.hasOwn(redisClasses, className) ? redisClasses[className] : undefined
  if (byClass === "Cancelled") return request("Cancelled", cause, { code: className })
  if (byClass !== undefined) return dependency(byClass, cause, { code: className })
  const code = /^[A-Z]+/.exec(readString(cause, "message") ?? "")?.[0]
  const byReply = code !== undefined && Object.hasOwn(redisReplies, code) ? redisReplies[code] : undefined
  if (byReply === "Denied") return dependency("Permanent", cause, { code })
  if (byReply !== undefined) return dependency(byReply, cause, { code })
  return request("Permanent", cause, { code: code ?? "RedisError" })
}

const isCoreBreakerError = (u: unknown): u is CoreCircuitBreaker.CircuitBreakerError =>
  Predicate.hasProperty(u, "~effect/persistence/CircuitBreaker/CircuitBreakerError")

export const coreCircuitBreakerRule = (error: unknown): Info | undefined => {
  if (!isCoreBreakerError(error)) return undefined
  const { reason } = error
  switch (reason._tag) {
    case "CircuitOpen":
      return request("Overloaded", error, { code: reason._tag, retryAfter: reason.retryAfter })
    case "CircuitHalfOpen":
      return request("Overloaded", error, { code: reason._tag })
    case "CircuitBreakerStoreError":
      return networkCause(reason.cause) ?? dependency("Transient", error, { code: reason._tag })
  }
}

const isCoreLimiterError = (u: unknown): u is CoreRateLimiter.RateLimiterError =>
  Predicate.hasProperty(u, "~effect/persistence/RateLimiter/RateLimiterError")

export const coreRateLimiterRule = (error: unknown): Info | undefined => {
  if (!isCoreLimiterError(error)) return undefined
  const { reason } = error
  return reason._tag === "RateLimitExceeded"
    ? request("RateLimited", error, { code: reason._tag, retryAfter: reason.retryAfter })
    : networkCause(reason.cause) ?? dependency("Transient", error, { code: reason._tag })
}

// -----------------------------------------------------------------------------
// effect
// -----------------------------------------------------------------------------

export const timeoutErrorRule = (error: unknown): Info | undefined =>
  Predicate.hasProperty(error, "~effect/Cause/TimeoutError")
    ? dependency("Timeout", error, { code: "TimeoutError" })
    : undefined

/** Input that does not fit its schema. A reply that does not fit one is the caller's to say, with a rule of its own. */
export const schemaErrorRule = (error: unknown): Info | undefined =>
  Predicate.hasProperty(error, "~effect/Schema/SchemaError")
    ? request("Permanent", error, { code: "SchemaError" })
    : undefined

const isPlatformError = (u: unknown): u is PlatformError.PlatformError =>
  Predicate.hasProperty(u, "~effect/PlatformError") && Predicate.hasProperty(u, "reason")

export const platformErrorRule = (error: unknown): Info | undefined => {
  if (!isPlatformError(error)) return undefined
  const network = networkCause(read(error.reason, "cause"))
  if (network !== undefined) return network
  const code = error.reason._tag
  switch (code) {
    case "TimedOut":
      return dependency("Timeout", error, { code })
    case "Busy":
    case "WouldBlock":
      return dependency("Overloaded", error, { code })
    case "UnexpectedEof":
    case "WriteZero":
      return dependency("Transient", error, { code })
    case "BadArgument":
      return request("Permanent", error, { code })
    default:
      return dependency("Permanent", error, { code })
  }
}
