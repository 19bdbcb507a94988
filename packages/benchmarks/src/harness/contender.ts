/** One side of a comparison: a thing that makes calls. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** Makes `count` calls, one after the other. */
export type MakeCalls = (count: number) => Promise<void>

/** A contender, set up when its turn comes. */
export interface Contender {
  readonly name: string
  readonly setUp: () => Promise<
    {
      readonly makeCalls: MakeCalls
      /** Lays out what `count` calls will need. Its time is not counted. */
      readonly prepare?: MakeCalls | undefined
      readonly tearDown?: (() => Promise<void>) | undefined
    }
  >
}

/** Work that is laid out before it is done: `do` is timed, and does as much as `prepare` laid out. */
export interface Work<R> {
  readonly prepare: (count: number) => Effect.Effect<unknown, unknown, R>
  readonly do: (count: number) => Effect.Effect<unknown, unknown, R>
}

/** The same for work. */
export const working = <R, E>(
  name: string,
  layer: Layer.Layer<R, E>,
  makeWork: Effect.Effect<Work<R>, unknown, R | Scope.Scope>
): Contender => ({
  name,
  setUp: async () => {
    const scope = Scope.makeUnsafe()
    const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    const run = Effect.runPromiseWith(context)
    const work = await run(Scope.provide(makeWork, scope))
    return {
      prepare: async (count) => {
        await run(work.prepare(count))
      },
      makeCalls: async (count) => {
        await run(work.do(count))
      },
      tearDown: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

/** Effects are called as programs call them: in a fiber that is running, with their services in its context. */
export const effects = <R, E>(
  name: string,
  layer: Layer.Layer<R, E>,
  makeCall: Effect.Effect<Effect.Effect<unknown, unknown, R>, never, R>
): Contender => ({
  name,
  setUp: async () => {
    const scope = Scope.makeUnsafe()
    const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    const call = await Effect.runPromiseWith(context)(makeCall)
    const run = Effect.runPromiseWith(context)
    return {
      makeCalls: (count) =>
        run(Effect.gen(function*() {
          for (let made = 0; made < count; made++) yield* call
        })) as Promise<void>,
      tearDown: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

/** The same for effects that need nothing. */
export const plainEffects = (name: string, call: Effect.Effect<unknown>): Contender =>
  effects(name, Layer.succeedContext(Context.empty()), Effect.succeed(call))

/** What takes no time to wait for is called as a function, by code that has its fiber at hand. */
export const calls = (
  name: string,
  setUp: (fiber: Fiber.Fiber<unknown, unknown>) => () => void
): Contender => ({
  name,
  setUp: async () => {
    const call = Effect.runSync(Effect.withFiber((fiber) => Effect.succeed(setUp(fiber))))
    return {
      makeCalls: async (count) => {
        for (let made = 0; made < count; made++) call()
      }
    }
  }
})

/** A call as programs without Effect have it: an asynchronous function. */
export const succeeds = async (): Promise<number> => 1

/** Promises are called as programs call them: awaited one by one in an async function. */
export const promises = (name: string, setUp: () => () => Promise<unknown>): Contender => ({
  name,
  setUp: async () => {
    const call = setUp()
    return {
      makeCalls: async (count) => {
        for (let made = 0; made < count; made++) await call()
      }
    }
  }
})

/** The same for what has to be connected first. */
export const scopedPromises = <E>(
  name: string,
  setUp: Effect.Effect<() => Promise<unknown>, E, Scope.Scope>
): Contender => ({
  name,
  setUp: async () => {
    const scope = Scope.makeUnsafe()
    const call = await Effect.runPromise(Scope.provide(setUp, scope))
    return {
      makeCalls: async (count) => {
        for (let made = 0; made < count; made++) await call()
      },
      tearDown: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

/** The same contender with so many callers at once. */
export const concurrently = (contender: Contender, callers: number): Contender => ({
  name: contender.name,
  setUp: async () => {
    const { makeCalls, tearDown } = await contender.setUp()
    return {
      makeCalls: async (count) => {
        await Promise.all(Array.from({ length: callers }, () => makeCalls(Math.ceil(count / callers))))
      },
      tearDown
    }
  }
})
