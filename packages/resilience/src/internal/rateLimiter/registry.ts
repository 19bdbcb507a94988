/** Several policies as one service, by name. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Checks } from "./checks.ts"
import type { Settings } from "./engine.ts"
import { makeImpl, makeLimiter } from "./limiter.ts"
import { make as makePolicy, type Policy, PolicyTypeId } from "./policy.ts"
import type { Rule } from "./rules.ts"
import type { Limiter, ReserveOptions, WaitOptions } from "./service.ts"
import type { RateLimiterStore } from "./store.ts"

/**
 * A limiter that knows its policies by name, made by `Service`.
 *
 * What its instance can do (see {@link Limiter}) it offers as functions of the class too, which draw on the service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out Name extends string>
  extends Context.ServiceClass<Self, Id, Limiter<Name>>
{
  /** The limiter, with the policies it was declared with. */
  readonly layer: Layer.Layer<Self, never, RateLimiterStore>
  /** As `RateLimiter.consume`. */
  readonly consume: (
    checks: Checks<Name>
  ) => Effect.Effect<Effect.Success<ReturnType<Limiter<Name>["consume"]>>, never, Self>
  readonly peek: (
    checks: Checks<Name>
  ) => Effect.Effect<Effect.Success<ReturnType<Limiter<Name>["peek"]>>, never, Self>
  readonly limit: (
    checks: Checks<Name>,
    options?: WaitOptions
  ) => <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Effect.Error<ReturnType<Limiter<Name>["wait"]>>, R | Self>
  readonly wait: (
    checks: Checks<Name>,
    options?: WaitOptions
  ) => Effect.Effect<
    Effect.Success<ReturnType<Limiter<Name>["wait"]>>,
    Effect.Error<ReturnType<Limiter<Name>["wait"]>>,
    Self
  >
  readonly reserve: (
    checks: Checks<Name>,
    options?: ReserveOptions
  ) => Effect.Effect<
    Effect.Success<ReturnType<Limiter<Name>["reserve"]>>,
    Effect.Error<ReturnType<Limiter<Name>["reserve"]>>,
    Effect.Services<ReturnType<Limiter<Name>["reserve"]>> | Self
  >
}

export const Service =
  (settings: Settings) =>
  <Self>() =>
  <const Id extends string, const Declared extends { readonly [name: string]: Policy | ReadonlyArray<Rule> }>(
    id: Id,
    policies: Declared
  ): ServiceClass<Self, Id, keyof Declared & string> => {
    type Name = keyof Declared & string
    const byName = new Map(
      Object.entries(policies).map(([name, declared]): [string, Policy] => [
        name,
        PolicyTypeId in declared ? declared : makePolicy(name, declared)
      ])
    )
    const resolve = (name: Name): Policy => {
      const policy = byName.get(name)
      if (policy === undefined) {
        throw new RangeError(`policy must be one of ${[...byName.keys()].join(", ")}, got ${name}`)
      }
      return policy
    }
    const Tag = Context.Service<Self, Limiter<Name>>()(id)
    return Object.assign(Tag, {
      layer: Layer.effect(Tag, Effect.map(makeImpl(settings), (impl) => makeLimiter(impl, resolve))),
      consume: (checks: Checks<Name>) => Effect.flatMap(Tag, (limiter) => limiter.consume(checks)),
      peek: (checks: Checks<Name>) => Effect.flatMap(Tag, (limiter) => limiter.peek(checks)),
      limit: (checks: Checks<Name>, options?: WaitOptions) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Tag, (limiter) => limiter.limit(checks, options)(self)),
      wait: (checks: Checks<Name>, options?: WaitOptions) =>
        Effect.flatMap(Tag, (limiter) => limiter.wait(checks, options)),
      reserve: (checks: Checks<Name>, options?: ReserveOptions) =>
        Effect.flatMap(Tag, (limiter) => limiter.reserve(checks, options))
    })
  }
