/** One call on its way through a policy. */
import type * as Effect from "effect/Effect"
import type * as FallbackChain from "../../FallbackChain.ts"
import type * as RateLimiter from "../../RateLimiter.ts"
import type { CallOptions } from "./options.ts"

/** An effect whose types the stages do not look at; what they make of them, {@link Policy}'s `run` says. */
export type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/** The key of calls that name none. */
export const defaultKey = "default"

export interface Call {
  /** As it was given. */
  readonly options: AnyCallOptions
  readonly key: string
  readonly limitKey: string
  readonly cost: RateLimiter.Cost | undefined
  readonly bulkhead: { readonly priority?: number | undefined } | undefined
  readonly idempotent: boolean
  readonly route: FallbackChain.Request | undefined
  readonly request: unknown
  readonly letter: unknown
  /** Attempts that were started. */
  attempts: number
}

/** What a call says of itself; which of the two last it may say, depends on the policy. */
export type AnyCallOptions = CallOptions & { readonly request?: unknown; readonly letter?: unknown }

export const callOf = (options: AnyCallOptions | undefined, idempotent: boolean): Call => {
  if (options === undefined) return callOf({}, idempotent)
  const { cost, key = defaultKey, letter, limitKey = key, priority, request, route } = options
  return {
    options,
    key,
    limitKey,
    cost,
    bulkhead: priority === undefined ? undefined : { priority },
    idempotent: options.idempotent ?? idempotent,
    route,
    request,
    letter,
    attempts: 0
  }
}

/** The same call on one route of a chain, which has circuits, limits and places of its own. */
export const onRoute = (call: Call, route: string): Call => ({
  ...call,
  key: keyOn(call.key, route),
  limitKey: keyOn(call.limitKey, route)
})

const keyOn = (key: string, route: string): string => key === defaultKey ? route : `${route}/${key}`
