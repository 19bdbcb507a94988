/** A layer that is built by who first needs it, and kept. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

/** What a layer provides, for as long as the scope. A build that fails, or is interrupted, is tried again by the next. */
export const builtOnce = <Provides, E, Builds>(
  layer: Layer.Layer<Provides, E, Builds>,
  scope: Scope.Scope,
  outer: Context.Context<Builds>
): Effect.Effect<Context.Context<Provides>, E> => {
  const turn = Semaphore.makeUnsafe(1)
  let built: Context.Context<Provides> | undefined
  const build = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.fork(scope), (own) =>
      // The caller's own context stays out: its deadline is not that of the layer.
      restore(Layer.buildWithScope(layer, own)).pipe(
        Effect.updateContext((_: Context.Context<never>) => outer),
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
        Effect.tap((context) => Effect.sync(() => (built = context)))
      ))
  )
  return Effect.suspend(() =>
    built !== undefined
      ? Effect.succeed(built)
      : Semaphore.withPermit(turn, Effect.suspend(() => built === undefined ? build : Effect.succeed(built)))
  )
}
