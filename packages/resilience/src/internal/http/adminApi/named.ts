/** What has a name: given as it is, or looked up for each request. */
import * as Effect from "effect/Effect"
import { says } from "../../../http/Problem.ts"

/**
 * Some things, or an effect that finds them. It is run for each request: what there is may change while the server runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Named<A, R> = ReadonlyArray<A> | Effect.Effect<ReadonlyArray<A>, never, R>

/** An effect that finds them, with what it needs. */
export const lookup = <A, R>(named: Named<A, R>): Effect.Effect<Effect.Effect<ReadonlyArray<A>>, never, R> =>
  Effect.isEffect(named)
    ? Effect.map(Effect.context<R>(), (context) => Effect.provideContext(named, context))
    : Effect.succeed(Effect.succeed(named))

/** The one of this name, or a problem that names those that there are. */
export const find = <A extends { readonly name: string }, E>(
  all: Effect.Effect<ReadonlyArray<A>>,
  name: string,
  notFound: (names: ReadonlyArray<string>) => E
): Effect.Effect<A, E> =>
  Effect.flatMap(all, (things) => {
    const thing = things.find((each) => each.name === name)
    return thing === undefined ? Effect.fail(notFound(things.map((each) => each.name))) : Effect.succeed(thing)
  })

/** "There is no X "name". There are: ..." */
export const noSuch = (what: string, name: string, names: ReadonlyArray<string>): ReturnType<typeof says> =>
  says(`There is no ${what} ${JSON.stringify(name.slice(0, 100))}. There are: ${names.join(", ") || "none"}.`)
