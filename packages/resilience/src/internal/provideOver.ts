/**
 * Provides services to effects that run for every request. It does what `Effect.provideContext` does, which copies all services
 * of the fiber, and a server's fiber has many: this lays only those over them that the fiber does not have already.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

type Entry = { readonly tag: Context.Service<unknown, unknown>; readonly service: unknown }

/** A tag is a class, and one that is made for each request makes all code slow that looks services up. */
const entries = new WeakMap<object, ReadonlyArray<Entry>>()

const entriesOf = <Provided>(context: Context.Context<Provided>): ReadonlyArray<Entry> => {
  const known = entries.get(context)
  if (known !== undefined) return known
  const made = Array.from(context.mapUnsafe, ([key, service]) => ({ tag: Context.Service<unknown>(key), service }))
  entries.set(context, made)
  return made
}

export const provideOver = <Provided>(
  context: Context.Context<Provided>
): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Provided>> => {
  const provided = entriesOf(context)
  return <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.updateContext(self, (services: Context.Context<Exclude<R, Provided>>) => {
      let all: Context.Context<never> = services
      for (const { service, tag } of provided) {
        if (Context.getOrUndefined(all, tag) !== service) all = Context.add(all, tag, service)
      }
      // All that `self` needs: what the fiber has, and what is provided.
      return all as Context.Context<R>
    })
}
