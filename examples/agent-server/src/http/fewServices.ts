/**
 * Requests run with few services. A fiber that provides one more copies all that it has every now and then, and what joins
 * services of its own to them always does; a server is made of many, and a request needs few of them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** So many services are laid over those that were there before all of them are copied. */
const maxDepth = 24

/**
 * Builds a layer with `base` and the named services alone, which have to be all that it needs. What it captures, to provide it to
 * requests or to run them in, is no more than that.
 */
export const withFew =
  // oxlint-disable-next-line typescript/no-explicit-any -- a key is invariant in its service, so only `any` stands for all
  <const Keys extends ReadonlyArray<Context.Key<any, any>>>(base: Context.Context<never>, ...keys: Keys) =>
  <A, E>(
    layer: Layer.Layer<A, E, Context.Service.Identifier<Keys[number]>>
  ): Layer.Layer<A, E, Context.Service.Identifier<Keys[number]>> =>
    Layer.fromBuild((memoMap, scope) =>
      Effect.updateContext(
        Layer.buildWithMemoMap(layer, memoMap, scope),
        (all: Context.Context<Context.Service.Identifier<Keys[number]>>) => few(base, Context.pick(...keys)(all))
      )
    )

const few = <Services>(base: Context.Context<never>, picked: Context.Context<Services>): Context.Context<Services> =>
  Context.makeUnsafe(new Map([...base.mapUnsafe, ...picked.mapUnsafe]), { maxDepth })
