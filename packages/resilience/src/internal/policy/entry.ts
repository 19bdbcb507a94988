/** One named policy of a document, whose rooms outlive the documents. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as DeadLetterQueue from "../../DeadLetterQueue.ts"
import * as FallbackChain from "../../FallbackChain.ts"
import * as Hedge from "../../Hedge.ts"
import type * as RateLimiter from "../../RateLimiter.ts"
import * as ResponseCache from "../../ResponseCache.ts"
import * as RetryBudget from "../../RetryBudget.ts"
import * as Build from "./build.ts"
import type { Bulkheads } from "./bulkheads.ts"
import { pathOf } from "./document.ts"
import type { Problem } from "./errors.ts"
import type { LimitOptions, Options } from "./options.ts"
import * as Parts from "./parts.ts"
import { Composed } from "./policy.ts"
import type { Config } from "./schema.ts"
import type { OnRoute } from "./stages.ts"

/**
 * What of a cache is no data.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheBinding {
  // oxlint-disable-next-line typescript/no-explicit-any -- of whatever request: each binding has its own
  readonly key: (request: any) => Effect.Effect<string>
  // oxlint-disable-next-line typescript/no-explicit-any -- of whatever values: each binding has its own
  readonly schema: Schema.ConstraintCodec<any, unknown>
  // oxlint-disable-next-line typescript/no-explicit-any -- of whatever values: each binding has its own
  readonly cacheable?: ((value: any) => boolean) | undefined
}

/**
 * What policies that are data refer to by name, because it is no data: caches by their `binding`, queues of dead letters.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bindings {
  readonly caches?: Readonly<Record<string, CacheBinding>> | undefined
  // oxlint-disable-next-line typescript/no-explicit-any -- invariant in its letters: only `any` stands for all queues
  readonly deadLetters?: Readonly<Record<string, DeadLetterQueue.DeadLetterQueue<any>>> | undefined
  /** What somebody else knows of the health of a policy's dependency: the `health` of its breaker's options. */
  readonly health?: ((policy: string, key: string) => Stream.Stream<boolean>) | undefined
}

/** The options of the rooms, checked: what is wrong came out before any of them was touched. */
export interface Checked {
  readonly name: string
  readonly config: Config
  readonly breaker: ReturnType<typeof Build.breakerOf> | undefined
  readonly bulkhead: ReturnType<typeof Build.bulkheadOf> | undefined
  readonly limit: LimitOptions | undefined
  readonly hedge: ReturnType<typeof Build.hedgeOf> | undefined
  readonly retry: ReturnType<typeof Build.retryOf> | undefined
}

/** What the schema cannot see: options that do not go together, and names that nothing is bound to. */
export const check = (
  name: string,
  config: Config,
  bindings: Bindings,
  before: Config | undefined
): { readonly checked: Checked; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const problem = (at: ReadonlyArray<string>, message: string) =>
    void problems.push({ path: pathOf(["policies", name, ...at]), message })
  /** Makes something of a part that is given, and takes what it throws for a problem of that part. */
  const made = <A, B>(at: keyof Config, data: A | undefined, make: (data: A) => B): B | undefined => {
    if (data === undefined) return undefined
    try {
      return make(data)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return void problem([at], error.message)
    }
  }
  const { bulkhead, fallback, hedge, limit, retry } = config
  checkNames(config, bindings, problem)
  if (bulkhead !== undefined && before?.bulkhead !== undefined && before.bulkhead.order !== bulkhead.order) {
    problem(["bulkhead", "order"], "The order cannot be changed while calls may wait")
  }
  made("fallback", fallback, (data) => FallbackChain.make(name, routesOf(data), Build.chainOptionsOf(data)))
  return {
    problems,
    checked: {
      name,
      config,
      breaker: made("breaker", config.breaker, (data) => {
        const options = Build.breakerOf(data)
        void CircuitBreaker.make({ ...options, name })
        return options
      }),
      bulkhead: made("bulkhead", bulkhead, Build.bulkheadOf),
      limit: made("limit", limit, (data) => {
        const options = Build.limitOf(data)
        void Parts.limitOf(name, options)
        return options
      }),
      hedge: made("hedge", hedge, (data) => {
        const options = Build.hedgeOf(data)
        void Hedge.make({ ...options, name })
        return options
      }),
      retry: made("retry", retry, (data) => {
        void Build.budgetOf(data.budget)
        return Build.retryOf(data)
      })
    }
  }
}

const checkNames = (
  { cache, deadLetter }: Config,
  { caches, deadLetters }: Bindings,
  problem: (at: ReadonlyArray<string>, message: string) => void
): void => {
  if (cache !== undefined && !has(caches, cache.binding)) {
    problem(["cache", "binding"], `No cache is bound to "${cache.binding}"`)
  }
  if (deadLetter !== undefined && !has(deadLetters, deadLetter)) {
    problem(["deadLetter"], `No queue is bound to "${deadLetter}"`)
  }
}

const has = (bound: object | undefined, name: string): boolean => bound !== undefined && Object.hasOwn(bound, name)

const routesOf = ({ routes }: NonNullable<Config["fallback"]>) => {
  const [first, ...rest] = routes
  return [routeOf(first), ...rest.map(routeOf)] as const
}

const routeOf = (route: NonNullable<Config["fallback"]>["routes"][number]) => {
  if (typeof route === "string") return FallbackChain.route(route, Context.empty())
  const { policy, ...facts } = route
  return FallbackChain.route(policy, Context.empty(), facts)
}

/** Something that is made from data and kept for as long as these are the same. */
class Kept<A> {
  private readonly lingers: boolean

  /** One that `lingers` is released with its policy, and not when it is replaced: calls may be waiting in it. */
  constructor(lingers: boolean = false) {
    this.lingers = lingers
  }

  private made: { readonly from: string; readonly value: A; readonly scope: Scope.Closeable } | undefined

  get value(): A | undefined {
    return this.made?.value
  }

  update<R>(
    data: unknown,
    make: Effect.Effect<A, never, R>,
    outer: Scope.Scope
  ): Effect.Effect<A, never, Exclude<R, Scope.Scope>> {
    return Effect.suspend(() => {
      const from = JSON.stringify(data)
      if (this.made?.from === from) return Effect.succeed(this.made.value)
      return Effect.flatMap(Scope.fork(outer), (scope) =>
        Effect.flatMap(Scope.provide(make, scope), (value) => {
          const { lingers, made } = this
          this.made = { from, value, scope }
          return Effect.as(made === undefined || lingers ? Effect.void : Scope.close(made.scope, Exit.void), value)
        }))
    })
  }
}

export type Rooms = CircuitBreaker.CircuitBreakerStore | RateLimiter.RateLimiter

/** A policy of a document while its documents come and go. */
export class Entry {
  readonly name: string
  composed: Composed | undefined
  config: Config | undefined
  private bulkheads: { readonly all: Bulkheads; readonly order: string | undefined } | undefined
  private readonly breaker = new Kept<CircuitBreaker.Breaker>()
  private readonly hedge = new Kept<Hedge.Hedge["Service"]>()
  private readonly budget = new Kept<RetryBudget.RetryBudget["Service"]>()
  private readonly chain = new Kept<FallbackChain.FallbackChain<unknown, unknown, unknown>>()
  private readonly cache = new Kept<ResponseCache.ResponseCache<unknown, unknown>>(true)

  private readonly scope: Scope.Closeable

  /** What it holds is released with the scope. */
  constructor(name: string, scope: Scope.Closeable) {
    this.name = name
    this.scope = scope
  }

  /** Calls that run go on, except that one which shares another's look-up in a cache is interrupted. */
  get close(): Effect.Effect<void> {
    return Scope.close(this.scope, Exit.void)
  }

  /** Takes other options over. What the rooms remember stays; calls that run end as they began. */
  apply(
    { breaker, bulkhead, config, hedge, limit, retry }: Checked,
    bindings: Bindings,
    onRoute: OnRoute
  ): Effect.Effect<void, never, Rooms | ResponseCache.ResponseCacheStore> {
    const { name, scope } = this
    const kept = <A, R, Data>(
      into: Kept<A>,
      data: Data | undefined,
      make: (data: Data) => Effect.Effect<A, never, R>
    ) => data === undefined ? Effect.undefined : into.update(data, make(data), scope)
    return Effect.gen({ self: this }, function*() {
      const chain = yield* kept(
        this.chain,
        config.fallback,
        (data) =>
          // Its routes provide nothing and fail with nothing of their own.
          Effect.map(
            FallbackChain.make(name, routesOf(data), Build.chainOptionsOf(data)),
            (made) => made as unknown as FallbackChain.FallbackChain<unknown, unknown, unknown>
          )
      )
      const options: Options = { name, ...config, retry, breaker, bulkhead, limit, hedge, fallback: chain, ...none }
      const parts: Parts.Parts = {
        name,
        times: Parts.timesOf(options),
        retry: retry && Build.drawingOn(
          retry,
          yield* this.budget.update(config.retry?.budget ?? {}, budgetOf(config), scope)
        ),
        breaker: yield* this.broken(config, breaker, bindings),
        bulkheads: yield* this.placed(bulkhead),
        limit: yield* Parts.limitOf(name, limit),
        // Where data has a hedge, `check` made its options.
        hedge: yield* kept(this.hedge, config.hedge, () => Hedge.make({ ...hedge!, name })),
        chain,
        onRoute,
        reply: undefined,
        deadLetter: config.deadLetter === undefined ? undefined : bindings.deadLetters?.[config.deadLetter],
        cache: yield* kept(
          this.cache,
          config.cache,
          ({ binding, ...times }) =>
            // `check` let no name through that nothing is bound to.
            ResponseCache.make<unknown, unknown>({ name, ...times, ...bindings.caches![binding]! })
        ),
        idempotent: config.idempotent ?? true
      }
      this.config = config
      if (this.composed === undefined) this.composed = new Composed(parts, options)
      else this.composed.change(parts, options)
    })
  }

  /** A breaker that is made anew finds its circuits in the store; either way they are told of the new options. */
  private broken(config: Config, options: Checked["breaker"], { health }: Bindings) {
    if (config.breaker === undefined || options === undefined) return Effect.undefined
    const { name } = this
    const told = health === undefined ? undefined : { health: (key: string) => health(name, key) }
    const { capacity, idleTimeToLive, shadow } = config.breaker
    const once = { capacity, idle: String(idleTimeToLive), shadow }
    return Effect.tap(
      this.breaker.update(once, CircuitBreaker.make({ ...options, ...told, name }), this.scope),
      (breaker) => breaker.reconfigure(options)
    )
  }

  private placed(options: Checked["bulkhead"]): Effect.Effect<Bulkheads | undefined> {
    return Effect.suspend(() => {
      if (options === undefined) return Effect.undefined
      const { order } = options
      const before = this.bulkheads
      if (before !== undefined && before.order === order) return Effect.as(before.all.reconfigure(options), before.all)
      const all = Parts.bulkheadsOf(this.name, options)
      this.bulkheads = { all, order }
      return Effect.succeed(all)
    })
  }
}

/** What a document refers to and the lint has nothing to say of. */
const none = { cache: undefined, deadLetter: undefined }

const budgetOf = ({ retry }: Config) =>
  Effect.map(Layer.build(Build.budgetOf(retry?.budget)), (context) => Context.get(context, RetryBudget.RetryBudget))
