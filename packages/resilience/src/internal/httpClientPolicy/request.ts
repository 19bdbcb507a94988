/** What a request says of itself. */
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"

type Request = HttpClientRequest.HttpClientRequest

/** Methods whose effect is the same when they are done twice (RFC 9110, 9.2.2), and QUERY, which is defined as safe. */
const idempotentMethods = new Set<string>(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY"])

export const isIdempotent = ({ headers, method }: Request): boolean =>
  idempotentMethods.has(method) || (headers["idempotency-key"] ?? "") !== ""

/** Scheme, host and port; the default key where there is no such thing. */
export const originOf = (request: Request): string =>
  Option.match(HttpClientRequest.toUrl(request), { onNone: () => "default", onSome: ({ origin }) => origin })
