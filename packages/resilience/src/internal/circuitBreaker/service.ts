/** A service of several breakers whose names the compiler knows. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Breaker, BreakersClass, ProtectOptions } from "../../CircuitBreaker.ts"
import { make } from "./breaker.ts"
import type { Options } from "./options.ts"

export const Service =
  <Self>() =>
  <const Id extends string, const Named extends Readonly<Record<string, Omit<Options, "name">>>>(
    id: Id,
    named: Named
  ): BreakersClass<Self, Id, keyof Named & string> => {
    type Name = keyof Named & string
    const names = Object.keys(named) as Array<Name>
    // Made here and not in the layer: what is wrong with the options is thrown where they are written.
    const breakers = names.map((name) =>
      Effect.map(make({ ...named[name]!, name }), (breaker) => [name, breaker] as const)
    )
    const Tag = Context.Service<Self, { readonly [N in Name]: Breaker }>()(id)
    const get = (name: Name) => Effect.map(Tag, (breakers) => breakers[name])
    const statics: Omit<BreakersClass<Self, Id, Name>, keyof typeof Tag> = {
      names,
      layer: Layer.effect(
        Tag,
        Effect.map(Effect.all(breakers), (made) => Object.fromEntries(made) as { readonly [N in Name]: Breaker })
      ),
      get,
      protect: <A, E>(name: Name, options?: ProtectOptions<A, E>) => <R>(self: Effect.Effect<A, E, R>) =>
        Effect.flatMap(get(name), (breaker) => breaker.protect(self, options))
    }
    return Object.assign(Tag, statics) as BreakersClass<Self, Id, Name>
  }
