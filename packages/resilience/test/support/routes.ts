/** A service whose answers are scripted by route, and chains of it. */
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** An error that is exactly what it is told to be. */
export class Fault extends Data.TaggedError("RouteFault")<Failure.Info> {
  [Failure.symbol](): Failure.Info {
    const { code, kind, message, retryAfter, scope } = this
    return {
      kind,
      scope,
      message,
      ...(code === undefined ? {} : { code }),
      ...(retryAfter === undefined ? {} : { retryAfter })
    }
  }
}

const fault =
  (scope: Failure.Info["scope"]) =>
  (kind: Failure.Kind, more: { readonly code?: string; readonly retryAfter?: Duration.Input } = {}): Fault =>
    new Fault({
      kind,
      scope,
      message: `a ${kind} fault`,
      code: more.code,
      retryAfter: more.retryAfter === undefined ? undefined : Duration.fromInputUnsafe(more.retryAfter)
    })

export const dependencyFault = fault("dependency")
export const requestFault = fault("request")

export class Model extends Context.Service<Model, { readonly ask: Effect.Effect<string, Fault> }>()("test/Model") {}

export const ask = Effect.flatMap(Model, (model) => model.ask)

/** Routes whose failures are set while the test runs, and which count their calls. */
export const models = <const Name extends string>(...names: ReadonlyArray<Name>) => {
  const failing = new Map<Name, Fault | undefined>()
  const calls: Array<Name> = []
  const route = (name: Name, options?: FallbackChain.RouteOptions) =>
    FallbackChain.route(
      name,
      Context.make(Model, {
        ask: Effect.suspend(() => {
          calls.push(name)
          const error = failing.get(name)
          return error === undefined ? Effect.succeed(`from ${name}`) : Effect.fail(error)
        })
      }),
      options
    )
  return {
    route,
    fail: (name: Name, error: Fault | undefined) => failing.set(name, error),
    /** The calls since the last time. */
    calls: () => calls.splice(0),
    routes: names.map((name) => route(name))
  }
}

/** Who answered, and whether that was not the first one. */
export const answeredBy = (
  chain: FallbackChain.FallbackChain<Model, never, never>,
  request?: FallbackChain.Request
) => Effect.map(chain.runServed(ask, request), ([, { degraded, route }]) => [route, degraded] as const)
