/** One way of getting an answer. */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import { numberBetween } from "../options.ts"
import type { Facts } from "./order.ts"

/**
 * What a request asks of the routes. All of it is optional.
 *
 * - `usage`: how much it is expected to be, in units such as tokens. Routes whose context window is shorter than input
 *   and output together are skipped; nothing is skipped for what is not said. `order: "cost"` compares what it would cost, with
 *   as much output as input where only that is said, and by the sum of both prices where nothing is.
 * - `minQuality`: routes of less quality, or of none that is known, are skipped.
 * - `attributes`: for the `when` of routes and for an order of your own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly usage?: { readonly input?: number | undefined; readonly output?: number | undefined } | undefined
  readonly minQuality?: number | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * What a route answers, to its {@link Guard}: something to pass on.
 *
 * @category models
 * @since 0.1.0
 */
export interface GuardedAnswer {
  readonly "~effect-resilience/FallbackChain/GuardedAnswer": never
}

/**
 * What a route fails with, to its {@link Guard}: something to pass on.
 *
 * @category models
 * @since 0.1.0
 */
export interface GuardedFailure {
  readonly "~effect-resilience/FallbackChain/GuardedFailure": never
}

/**
 * Wraps each call of a route, as a breaker or a limiter does. Any function that takes every effect is one.
 *
 * @category models
 * @since 0.1.0
 */
export type Guard<out E, out R> = (
  self: Effect.Effect<GuardedAnswer, GuardedFailure>
) => Effect.Effect<GuardedAnswer, GuardedFailure | E, R>

/**
 * What is known of a route, and may be said anew while its chain runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteTuning {
  /** What a million units cost, in your currency: one figure, or one for each direction. At least 0. Default: unknown. */
  readonly cost?: number | { readonly input: number; readonly output: number } | undefined
  /** How good its answers are, on a scale of your own. Default: unknown. */
  readonly quality?: number | undefined
  /** How much it can take at once, in units. Default: any amount. */
  readonly contextWindow?: number | undefined
  /** Lower is asked first with `order: "priority"`. Default: its place in the list, from 0. */
  readonly priority?: number | undefined
  /** Whether it may be given what another route refused for its content. Default: no. */
  readonly takesRefused?: boolean | undefined
}

/**
 * Options of {@link route}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteOptions<out GE = never, out GR = never, out SR = never> extends RouteTuning {
  /** Tries the route again before the next one is asked. A stream is tried again until its first element. */
  readonly retry?: Schedule.Schedule<unknown, unknown, never, SR> | undefined
  /** Wraps each attempt, inside of `retry`. Of a stream, the time until its first element. */
  readonly guard?: Guard<GE, GR> | undefined
  /** Whether it can serve this request. Asked once a call. */
  readonly when?: ((request: Request) => boolean | Effect.Effect<boolean>) | undefined
}

/**
 * A route of a chain, made by {@link route}.
 *
 * `Provides` is what it gives to the effects that run on it, `E` what it may fail with itself, `Builds` what its layer needs,
 * `R` what its guard and its retries need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route<in Provides, out E, out Builds, out R> {
  readonly name: string
  readonly provide: Layer.Layer<Provides, E, Builds> | Context.Context<Provides>
  readonly options: RouteOptions<E, R, R>
}

/** `A`, which is not guessed from what a result is wanted for: a route in a list of any routes is still itself. */
type Given<A> = A extends infer Same ? Same : never

/**
 * A route: a name, the layer or the context that an effect gets when it runs on it, and what is known of it.
 *
 * A layer is built when the route is first asked, and kept as long as the chain. Failing to be built is a failure of the
 * route like any other.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const route = <Provides, E = never, Builds = never, GE = never, GR = never, SR = never>(
  name: string,
  provide: Layer.Layer<Provides, E, Builds> | Context.Context<Provides>,
  options: RouteOptions<GE, GR, SR> = {}
): Route<Provides, Given<E | GE>, Given<Builds>, Given<GR | SR>> => {
  checkFacts(options)
  const made: Route<Provides, E | GE, Builds, GR | SR> = { name, provide, options }
  return made as ReturnType<typeof route<Provides, E, Builds, GE, GR, SR>>
}

/** Throws a `RangeError` for what is out of its range. */
export const checkFacts = ({ contextWindow, cost, priority, quality }: RouteTuning): void => {
  if (typeof cost === "object") {
    numberBetween("cost.input", cost.input, 0, Infinity)
    numberBetween("cost.output", cost.output, 0, Infinity)
  } else if (cost !== undefined) numberBetween("cost", cost, 0, Infinity)
  if (quality !== undefined) numberBetween("quality", quality, -Number.MAX_VALUE, Number.MAX_VALUE)
  if (contextWindow !== undefined) numberBetween("contextWindow", contextWindow, 0, Infinity)
  if (priority !== undefined) numberBetween("priority", priority, -Number.MAX_VALUE, Number.MAX_VALUE)
}

export const factsOf = (
  { name, options }: { readonly name: string; readonly options: RouteTuning },
  index: number
): Facts => ({
  name,
  index,
  priority: options.priority ?? index,
  price: typeof options.cost === "number" ? { input: options.cost, output: options.cost } : options.cost,
  quality: options.quality,
  contextWindow: options.contextWindow ?? Infinity,
  takesRefused: options.takesRefused ?? false
})
