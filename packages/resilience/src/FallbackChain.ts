/**
 * Several ways of getting the same answer, asked one after the other until one answers.
 *
 * A chain has routes: a name, a layer, and what is known of it (price, quality, context window). {@link FallbackChain.run}
 * gives an effect the services of one route; when it fails, what it failed with decides which one is next:
 *
 * | failure | who is asked next | the route that failed |
 * | --- | --- | --- |
 * | outage: `Transient`, `Overloaded`, `Timeout` | any other | rests, longer each time |
 * | 429 | any other | rests as long as it asked |
 * | key or account: 401, 402, 403, quota | any other | is halted |
 * | context too long | those with a longer window | |
 * | content policy | those that take what was refused | |
 * | our own refusal: circuit open, bulkhead full | any other | |
 * | unknown to the `Failure.Classifier` | any other | |
 * | wrong request: 400, 404, 422 | nobody: the failure is the answer | |
 * | defect, interruption | nobody | |
 *
 * - A failure of the request never counts against a route.
 * - A route rests until the latest of its deadlines. When all that could answer rest, the call waits for the first of
 *   them as long as its `Deadline` allows, and else fails with {@link FallbackExhausted}, which has every attempt.
 * - A stream changes its route only before its first element, unless told otherwise.
 * - What routes were used for is written into a ledger, and a budget makes the chain prefer cheaper routes in time.
 *
 * What it does not do: it does not break circuits (put a breaker into `guard`), and it gives no time limit to an attempt.
 *
 * **Gotchas**
 *
 * An effect that fails on one route runs again on the next: what it had done by then it does twice.
 *
 * **Example** (A small model when the large one is down)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Failure, FallbackChain } from "effect-resilience"
 *
 * class Model extends Context.Service<Model, { readonly ask: (prompt: string) => Effect.Effect<string, unknown> }>()("Model") {}
 *
 * const down = { [Failure.symbol]: () => Failure.fromHttpStatus(503) }
 * const large = Layer.succeed(Model, { ask: () => Effect.fail(down) })
 * const small = Layer.succeed(Model, { ask: (prompt) => Effect.succeed(`small: ${prompt}`) })
 *
 * const program = Effect.gen(function*() {
 *   const chain = yield* FallbackChain.make("models", [
 *     FallbackChain.route("large", large, { cost: 10, quality: 9 }),
 *     FallbackChain.route("small", small, { cost: 1, quality: 6 })
 *   ])
 *   const [answer, { degraded, route }] = yield* chain.runServed(Model.use((model) => model.ask("why?")))
 *   return { answer, degraded, route }
 * })
 *
 * const answer = await Effect.runPromise(Effect.scoped(program))
 * answer // => { answer: "small: why?", degraded: true, route: "small" }
 * ```
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as ExecutionPlan from "effect/ExecutionPlan"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Failure from "./Failure.ts"
import { CurrentAttempt, Engine, type Served, ServedListener, type Settings } from "./internal/fallbackChain/engine.ts"
import type { Attempt, FallbackExhausted } from "./internal/fallbackChain/errors.ts"
import type { Level, Line } from "./internal/fallbackChain/ledger.ts"
import type { Facts } from "./internal/fallbackChain/order.ts"
import { planOf } from "./internal/fallbackChain/plan.ts"
import { checkFacts, factsOf, type Request, type Route, type RouteTuning } from "./internal/fallbackChain/route.ts"
import { runServed } from "./internal/fallbackChain/run.ts"
import { type MidStream, stream } from "./internal/fallbackChain/stream.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { durationMillis, numberBetween, oneOf, positiveMillis } from "./internal/options.ts"
import * as Retry from "./Retry.ts"

export { effects, effectsServed, patterns } from "./internal/fallbackChain/effects.ts"
export { type Served, ServedListener } from "./internal/fallbackChain/engine.ts"
export {
  Attempt,
  FallbackExhausted,
  isFallbackExhausted,
  isNoPatternMatched,
  NoPatternMatched,
  Skipped
} from "./internal/fallbackChain/errors.ts"
export { languageModel, type LanguageModelOptions } from "./internal/fallbackChain/languageModelLayer.ts"
export {
  type Guard,
  type GuardedAnswer,
  type GuardedFailure,
  type Request,
  type Route,
  route,
  type RouteOptions,
  type RouteTuning
} from "./internal/fallbackChain/route.ts"
export { type StorageState } from "./internal/fallbackChain/storage.ts"
export { FallbackStorage, storage, type StorageOptions } from "./internal/fallbackChain/storageLayer.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/FallbackChain"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/FallbackChain"

/**
 * What is known of a route, for an order of one's own. A route without a price, or of no known quality, has `undefined`;
 * one that takes any amount a `contextWindow` of `Infinity`.
 *
 * @category models
 * @since 0.1.0
 */
export type RouteFacts = Facts

/**
 * A limit on what a chain may spend in a window of time.
 *
 * Prices are those of the routes, so the currency is theirs. At `warnAt` of the limit a warning is logged. At the limit only the
 * cheapest routes that can serve a request are asked. At `denyAt` only those that cost nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  /** Above zero. */
  readonly limit: number
  /** A window begins with the first charge after the one before it. Default 1 day. */
  readonly window?: Duration.Input | undefined
  /** A part of the limit, from 0 to 1. Default 0.8. */
  readonly warnAt?: number | undefined
  /** A multiple of the limit, at least 1. Default 1.2. */
  readonly denyAt?: number | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * In which order routes are asked.
   *
   * - `"priority"` (default): the lowest first
   * - `"cost"`: the cheapest for this request first, those of unknown price last
   * - `"quality"`: the best first, those of unknown quality last
   * - `"latency"`: the fastest first, by a moving average; one that has not answered yet before all others, to measure it
   * - a function: those it returns, in that order. What it leaves out is not asked.
   */
  readonly order?:
    | "priority"
    | "cost"
    | "quality"
    | "latency"
    | ((routes: ReadonlyArray<RouteFacts>, request: Request) => ReadonlyArray<RouteFacts>)
    | undefined
  /**
   * How long a route rests after an outage: the first wait after the first failure, and so on until it answers. Its input
   * is the failure. Default: from 5 seconds, doubling to 5 minutes.
   */
  readonly cooldown?: Schedule.Schedule<unknown, Failure.Info> | undefined
  /** How long a route is not asked after its key or account was refused. Default 1 hour. */
  readonly haltFor?: Duration.Input | undefined
  /**
   * How long a call waits for a route to come back when all rest. Default: as long as its `Deadline` leaves, and not at
   * all without one.
   */
  readonly maxWait?: Duration.Input | undefined
  readonly budget?: Budget | undefined
  /** Runs before a call fails with {@link FallbackExhausted}. */
  readonly onExhausted?: ((error: FallbackExhausted) => Effect.Effect<unknown>) | undefined
}

/**
 * What a running chain can be given anew. `routes`: by name, what is known of them; what is left out stays.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tuning extends Options {
  readonly routes?: { readonly [route: string]: RouteTuning } | undefined
}

/**
 * The options that are plain data, for `layerConfig`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DataOptions {
  readonly order?: "priority" | "cost" | "quality" | "latency" | undefined
  readonly haltFor?: Duration.Input | undefined
  readonly maxWait?: Duration.Input | undefined
  readonly budget?: Budget | undefined
}

/**
 * Options of a stream along a chain.
 *
 * What happens when a route fails after its first element:
 *
 * - `"fail"` (default): the stream fails with that error.
 * - `"restart"`: `restarted` makes an element that tells the reader to forget what came before, and another route begins anew.
 * - `"continue"`: another route runs `resume`, which is given all elements so far; its elements follow them.
 *
 * `isContent` tells the elements that count: those before the first such one are held back and dropped with their route. Default: all.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamOptions<A, E, R> =
  & {
    readonly request?: Request | undefined
    readonly isContent?: ((element: A) => boolean) | undefined
  }
  & (
    | { readonly midStream?: "fail" | undefined }
    | { readonly midStream: "restart"; readonly restarted: (attempt: Attempt) => A }
    | { readonly midStream: "continue"; readonly resume: (emitted: ReadonlyArray<A>) => Stream.Stream<A, E, R> }
  )

/**
 * What a chain has spent.
 *
 * - `spent`: in the running window of its budget, or in all where it has none
 * - `level`: what that leaves it: `"Normal"`, `"Warned"`, `"Cheaper"` or `"Denied"`
 * - `routes`: what each was used for since the chain was made
 *
 * @category models
 * @since 0.1.0
 */
export interface Ledger {
  readonly spent: number
  readonly level: Level
  readonly routes: { readonly [route: string]: Line }
}

/**
 * How a route stands.
 *
 * - `state`: `"Ready"`, or why it is not asked
 * - `restsFor`: for how long, zero when it is ready
 * - `latency`: how long it takes to begin to answer, a moving average; `undefined` before the first answer
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteState {
  readonly route: string
  readonly state: "Ready" | "Cooling" | "Limited" | "Halted"
  readonly restsFor: Duration.Duration
  readonly latency: Duration.Duration | undefined
}

/**
 * A chain of routes that provide `Provides`, may fail with `E` themselves, and need `R` for their guards and retries.
 *
 * - `run`: an effect on one route after the other until it answers. It fails with its own error where no other route could
 *   do better, and with {@link FallbackExhausted} where none did.
 * - `runServed`: the same, and who answered.
 * - `stream`: a stream on one route after the other. See {@link StreamOptions}.
 * - `plan`: the routes as an `ExecutionPlan`, for code that takes one. It keeps order, retries and layers; it knows nothing of
 *   health, requests and budgets, and it goes on after every failure.
 * - `ledger`, `states`: how the chain stands.
 * - `reset`: lets a route be asked again at once, after its key was mended, say.
 * - `reconfigure`: other options from now on, for the calls that begin. Rests that have begun end as they were meant to, and what
 *   was spent stays spent. `plan` stays as it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackChain<in out Provides, in out E, in out R> {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly run: <A, E1, R1>(
    self: Effect.Effect<A, E1, R1>,
    request?: Request
  ) => Effect.Effect<A, E1 | E | FallbackExhausted, Exclude<R1, Provides> | R>
  readonly runServed: <A, E1, R1>(
    self: Effect.Effect<A, E1, R1>,
    request?: Request
  ) => Effect.Effect<readonly [A, Served], E1 | E | FallbackExhausted, Exclude<R1, Provides> | R>
  readonly stream: <A, E1, R1>(
    self: Stream.Stream<A, E1, R1>,
    options?: StreamOptions<A, E1, R1>
  ) => Stream.Stream<A, E1 | E | FallbackExhausted, Exclude<R1, Provides> | R>
  readonly plan: ExecutionPlan.ExecutionPlan<{
    provides: Provides
    input: unknown
    error: E
    requirements: R
  }>
  readonly ledger: Effect.Effect<Ledger>
  readonly states: Effect.Effect<ReadonlyArray<RouteState>>
  readonly reset: (route: string) => Effect.Effect<void>
  /** Throws a `RangeError` for an option out of its range, and for a route that there is not. */
  readonly reconfigure: (changes: Tuning) => Effect.Effect<void>
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isFallbackChain = (u: unknown): u is FallbackChain<unknown, unknown, unknown> =>
  Predicate.hasProperty(u, TypeId)

type AnyRoute = Route<never, unknown, unknown, unknown>

/** What every one of the routes provides. */
type ProvidesOf<Routes extends ReadonlyArray<AnyRoute>> = [Routes[number]] extends
  [Route<infer Provides, infer _E, infer _Builds, infer _R>] ? Provides : never
type ErrorOf<R extends AnyRoute> = R extends Route<infer _Provides, infer E, infer _Builds, infer _R> ? E : never
type BuildsOf<R extends AnyRoute> = R extends Route<infer _Provides, infer _E, infer Builds, infer _R> ? Builds : never
type RequirementsOf<R extends AnyRoute> = R extends Route<infer _Provides, infer _E, infer _Builds, infer Needs> ? Needs
  : never

/**
 * A chain of routes. It needs what their layers need; what they built is released with its scope.
 *
 * Throws a `RangeError` for an option out of its range, for no routes, and for two of one name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Routes extends Arr.NonEmptyReadonlyArray<AnyRoute>>(
  name: string,
  routes: Routes,
  options: Options = {}
): Effect.Effect<
  ChainOf<Routes>,
  never,
  Scope.Scope | BuildsOf<Routes[number]>
> => {
  type Provides = ProvidesOf<Routes>
  type E = ErrorOf<Routes[number]>
  type Builds = BuildsOf<Routes[number]>
  type R = RequirementsOf<Routes[number]>
  const settings = check(name, routes, options)
  // What all routes have in common is what the four types say of each.
  const common = routes as unknown as Arr.NonEmptyReadonlyArray<Route<Provides, E, Builds, R>>
  return Effect.gen(function*() {
    const scope = yield* Effect.scope
    const outer = yield* Effect.context<Builds>()
    const facts = routes.map(factsOf)
    const engine = new Engine(settings, common, facts, scope, outer)
    return chainOf(engine, retuned(engine, routes, options))
  })
}

/**
 * The chain of some routes.
 *
 * @category models
 * @since 0.1.0
 */
export type ChainOf<Routes extends ReadonlyArray<AnyRoute>> = FallbackChain<
  ProvidesOf<Routes>,
  ErrorOf<Routes[number]>,
  RequirementsOf<Routes[number]>
>

/**
 * A chain as a service, made by {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, Routes extends ReadonlyArray<AnyRoute>>
  extends Context.ServiceClass<Self, Id, ChainOf<Routes>>
{
  /** With the options it was declared with. */
  readonly layer: Layer.Layer<Self, never, BuildsOf<Routes[number]>>
  /** With options from `Config` in place of those it was declared with. A value out of its range is a `ConfigError`. */
  readonly layerConfig: (
    options: Config.Wrap<DataOptions>
  ) => Layer.Layer<Self, Config.ConfigError, BuildsOf<Routes[number]>>
}

/**
 * Declares a chain as a service.
 *
 * Throws a `RangeError` as {@link make} does.
 *
 * **Example** (A chain that a program is given)
 *
 * ```ts
 * import { Context, Effect } from "effect"
 * import { FallbackChain } from "effect-resilience"
 *
 * class Greeter extends Context.Service<Greeter, { readonly greeting: string }>()("Greeter") {}
 *
 * class Greeters extends FallbackChain.Service<Greeters>()("app/Greeters", [
 *   FallbackChain.route("formal", Context.make(Greeter, { greeting: "Good morning" })),
 *   FallbackChain.route("casual", Context.make(Greeter, { greeting: "Hi" }))
 * ]) {}
 *
 * const program = Effect.flatMap(Greeters, (greeters) => greeters.run(Greeter.useSync(({ greeting }) => greeting)))
 * await Effect.runPromise(Effect.provide(program, Greeters.layer)) // => "Good morning"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, const Routes extends Arr.NonEmptyReadonlyArray<AnyRoute>>(
  id: Id,
  routes: Routes,
  options: Options = {}
): ServiceClass<Self, Id, Routes> => {
  const Tag = Context.Service<Self, ChainOf<Routes>>()(id)
  const layerOf = (data: DataOptions) => Layer.effect(Tag, make(id, routes, { ...options, ...data }))
  return Object.assign(Tag, {
    layer: layerOf({}),
    layerConfig: (data: Config.Wrap<DataOptions>) => layerFromConfig(data, layerOf)
  })
}

const chainOf = <Provides, E, Builds, R>(
  engine: Engine<Provides, E, Builds, R>,
  reconfigure: FallbackChain<Provides, E, R>["reconfigure"]
): FallbackChain<Provides, E, R> => ({
  [TypeId]: TypeId,
  name: engine.settings.name,
  run: (self, request = {}) => Effect.map(runServed(engine, self, request), ([value]) => value),
  runServed: (self, request = {}) => runServed(engine, self, request),
  stream: (self, options = {}) =>
    stream(engine, self, options.request ?? {}, {
      midStream: midStreamOf(options),
      isContent: options.isContent ?? (() => true)
    }),
  plan: planOf(engine),
  ledger: Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    const routes = Object.fromEntries(engine.states.map(({ facts }) => [facts.name, engine.ledger.lines[facts.index]!]))
    return Effect.succeed({ spent: engine.ledger.spent(now), level: engine.ledger.level(now), routes })
  }),
  states: Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    return Effect.succeed(engine.states.map(({ facts, health: { latency, reason, until } }): RouteState => ({
      route: facts.name,
      state: until > now && reason !== undefined ? reason : "Ready",
      restsFor: Duration.millis(Math.max(0, until === -Infinity ? 0 : until - now)),
      latency: latency === undefined ? undefined : Duration.millis(latency)
    })))
  }),
  reset: (route) => Effect.sync(() => engine.reset(route)),
  reconfigure
})

/** Checks all of a change before anything is changed. */
const retuned = <Provides, E, Builds, R>(
  engine: Engine<Provides, E, Builds, R>,
  routes: ReadonlyArray<AnyRoute>,
  options: Options
): FallbackChain<Provides, E, R>["reconfigure"] => {
  let current = options
  let known: ReadonlyArray<{ readonly name: string; readonly options: RouteTuning }> = routes
  return ({ routes: changed = {}, ...changes }) => {
    const names = known.map(({ name }) => name)
    for (const [name, tuning] of Object.entries(changed)) {
      oneOf("routes", name, names)
      checkFacts(tuning)
    }
    const next = { ...current, ...changes }
    const settings = check(engine.settings.name, routes, next)
    return Effect.sync(() => {
      current = next
      known = known.map(({ name, options }) => ({ name, options: { ...options, ...changed[name] } }))
      engine.reconfigure(settings, known.map(factsOf))
    })
  }
}

const midStreamOf = <A, E, R>(options: StreamOptions<A, E, R>): MidStream<A, E, R> => {
  switch (options.midStream) {
    case "restart":
      return { _tag: "restart", restarted: options.restarted }
    case "continue":
      return { _tag: "continue", resume: options.resume }
    default:
      return { _tag: "fail" }
  }
}

/**
 * Tells the chain what the running attempt has used, in units such as tokens. It is written to the route that the attempt is
 * on, whatever becomes of it. Outside of a chain it does nothing.
 *
 * Dies with a `RangeError` when a figure is no finite number of at least 0.
 *
 * @category accounting
 * @since 0.1.0
 */
export const charge = (usage: {
  readonly input?: number | undefined
  readonly output?: number | undefined
}): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const current = fiber.getRef(CurrentAttempt)
    if (current === undefined) return Effect.void
    const input = numberBetween("input", usage.input ?? 0, 0, Infinity)
    const output = numberBetween("output", usage.output ?? 0, 0, Infinity)
    return current.charge({ input, output })
  })

/**
 * Runs an effect, and tells with what answers it was served by all chains on its way, those hidden behind a service included.
 *
 * @category accessors
 * @since 0.1.0
 */
export const withServed = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<readonly [A, ReadonlyArray<Served>], E, R> =>
  Effect.withFiber((fiber) => {
    const outer = fiber.getRef(ServedListener)
    const served: Array<Served> = []
    const listener = (one: Served) => {
      served.push(one)
      outer(one)
    }
    return Effect.map(Effect.provideService(self, ServedListener, listener), (value) => [value, served] as const)
  })

/**
 * The route that the running effect is on, of the innermost chain around it; `None` outside of a chain.
 *
 * @category accessors
 * @since 0.1.0
 */
export const currentRoute: Effect.Effect<Option.Option<string>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.map(Option.fromUndefinedOr(fiber.getRef(CurrentAttempt)), ({ route }) => route))
)

const defaultCooldown = Retry.backoff({ base: "5 seconds", cap: "5 minutes", jitter: "none" })

const check = (name: string, routes: ReadonlyArray<AnyRoute>, options: Options): Settings => {
  if (routes.length === 0) throw new RangeError("routes must be at least one, got none")
  const names = new Set<string>()
  for (const { name } of routes) {
    if (names.has(name)) throw new RangeError(`routes must have different names, got "${name}" twice`)
    names.add(name)
  }
  const order = options.order ?? "priority"
  const { budget, maxWait } = options
  return {
    name,
    order: typeof order === "function" ? order : oneOf("order", order, ["priority", "cost", "quality", "latency"]),
    cooldown: options.cooldown ?? defaultCooldown,
    haltMillis: durationMillis("haltFor", options.haltFor ?? "1 hour"),
    maxWaitMillis: maxWait === undefined ? undefined : durationMillis("maxWait", maxWait),
    onExhausted: options.onExhausted,
    budget: budget === undefined ? undefined : {
      limit: numberBetween("budget.limit", budget.limit, Number.MIN_VALUE, Infinity),
      warnAt: numberBetween("budget.warnAt", budget.warnAt ?? 0.8, 0, 1),
      denyAt: numberBetween("budget.denyAt", budget.denyAt ?? 1.2, 1, Infinity),
      windowMillis: positiveMillis("budget.window", budget.window ?? "1 day", { infinite: true })
    }
  }
}
