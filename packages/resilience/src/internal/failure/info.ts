/** Building an `Info` from an arbitrary thrown or failed value without ever throwing. */
import type * as Duration from "effect/Duration"
import type { Info, Kind } from "../../Failure.ts"

const maxMessageLength = 500

/** The message of anything, shortened; getters and proxies that throw give a placeholder. */
export const messageOf = (error: unknown): string => {
  try {
    const message = typeof error === "object" && error !== null && "message" in error && error.message !== ""
      ? error.message
      : error
    const text = withoutQueries(typeof message === "string" ? message : tagOf(message) ?? String(message))
    return text.length > maxMessageLength ? `${text.slice(0, maxMessageLength - 1)}…` : text
  } catch {
    return "an error that cannot be shown"
  }
}

/** Queries of URLs carry keys and personal data; messages end up in logs. */
const withoutQueries = (text: string): string => text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?#)]+)[?#][^\s)]*/gi, "$1")

const tagOf = (error: unknown): string | undefined => {
  const tag = read(error, "_tag") ?? read(error, "name")
  return typeof tag === "string" && tag !== "" ? tag : undefined
}

/** A property of anything; `undefined` where there is none or reading it throws. */
export const read = (value: unknown, property: PropertyKey): unknown => {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return undefined
  try {
    return (value as Record<PropertyKey, unknown>)[property]
  } catch {
    return undefined
  }
}

export const readString = (value: unknown, property: PropertyKey): string | undefined => {
  const found = read(value, property)
  return typeof found === "string" ? found : undefined
}

const make = (scope: Info["scope"]) =>
(
  kind: Kind,
  error: unknown,
  more?: { readonly code?: string | undefined; readonly retryAfter?: Duration.Duration | undefined }
): Info => ({
  kind,
  scope,
  message: messageOf(error),
  ...(more?.code === undefined ? undefined : { code: more.code }),
  ...(more?.retryAfter === undefined ? undefined : { retryAfter: more.retryAfter })
})

/** The dependency is to blame, or may be. */
export const dependency = make("dependency")

/** This request is to blame, another one may well succeed. */
export const request = make("request")
