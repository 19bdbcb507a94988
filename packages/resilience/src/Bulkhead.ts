/**
 * Bounds how many calls may be in flight, so that one slow dependency cannot take all there is.
 *
 * A call needs one of `limit` permits. When all are taken it waits in a line of at most `queue` places (none by default),
 * for at most `maxWait`; where there is no place, or no permit in time, it fails with {@link BulkheadRejected}, which says
 * which of the two it was.
 *
 * - A permit comes back when the work has stopped, however it ends: after its finalizers, and for uninterruptible work
 *   after the work. A timeout around {@link run} can therefore not let more than `limit` run.
 * - A permit that comes back goes to whose turn it is in the same step. With `order: "fifo"` nobody overtakes, neither
 *   in the line nor by arriving just then.
 * - Interrupting a call at any point, waiting or running, loses neither permit nor place.
 *
 * What it does not do: it gives no time limit to the work (`Deadline` does), it does not find the right limit
 * (`ConcurrencyLimit` does), and it knows this process only.
 *
 * **Gotchas**
 *
 * A call that holds a permit and asks the same bulkhead for another one may wait for itself. Guard one layer of a
 * program with one bulkhead.
 *
 * **Example** (Ten at a time, twenty may wait for a second)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const call = Effect.succeed("an answer").pipe(Bulkhead.run())
 *
 * const layer = Bulkhead.layer({ name: "inventory", limit: 10, queue: 20, maxWait: "1 second" })
 * await Effect.runPromise(Effect.provide(call, layer)) // => "an answer"
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Failure from "./Failure.ts"
import type { Member, Order, Rank } from "./internal/bulkhead/line.ts"
import { type Call, Permits, type Standing } from "./internal/bulkhead/permits.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { finiteNumber, nonNegativeInteger, oneOf, positiveInteger, positiveMillis } from "./internal/options.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Bulkhead"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Bulkhead"

const RejectedTypeId = "~effect-resilience/Bulkhead/BulkheadRejected"

/**
 * The bulkhead refused the call. The work was not started.
 *
 * - `reason`: `"Full"` when there was no place in the line, or a more important call took it; `"WaitTimeout"` when no
 *   permit came within `maxWait`.
 * - `limit`, `queue`: the permits and the places that the bulkhead has.
 *
 * Its kind of failure is `Overloaded` with scope `"request"`: it is our refusal and says nothing of the dependency. It
 * carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkheadRejected extends Schema.TaggedError<BulkheadRejected>("effect-resilience/BulkheadRejected")(
  "BulkheadRejected",
  {
    name: Schema.String,
    reason: Schema.Literals(["Full", "WaitTimeout"]),
    limit: Schema.Int,
    queue: Schema.Int
  }
) {
  readonly [RejectedTypeId] = RejectedTypeId

  override get message(): string {
    return this.reason === "Full"
      ? `Bulkhead "${this.name}" is full: ${this.limit} in flight, ${this.queue} may wait`
      : `Bulkhead "${this.name}" had no permit in time: ${this.limit} in flight`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Overloaded", scope: "request", code: "BulkheadRejected", message: this.message }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isBulkheadRejected = (u: unknown): u is BulkheadRejected => Predicate.hasProperty(u, RejectedTypeId)

/**
 * Options of a bulkhead whose name is given elsewhere, as in {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnnamedOptions {
  /** How many calls may be in flight. A positive integer. */
  readonly limit: number
  /** How many more may wait. Default 0: a call that finds no permit is rejected at once. */
  readonly queue?: number | undefined
  /** How long a call waits for a permit. Above zero. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
  /**
   * Whose turn it is when a permit comes back.
   *
   * - `"fifo"` (default): who has waited longest
   * - `"lifo"`: who came last. In overload some are served in time, instead of all too late; the oldest starve, so give
   *   them a `maxWait`.
   * - `"priority"`: the most important, and among equals who has waited longest. A call that finds the line full takes
   *   the place of the least important one in it, if that is less important than itself.
   */
  readonly order?: Order | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends UnnamedOptions {
  /** What errors and signals call it. */
  readonly name: string
}

/**
 * Options of one call.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions {
  /** How important the call is, higher before lower; any finite number. Default 0. Counts with `order: "priority"`. */
  readonly priority?: number | undefined
}

/**
 * How things stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly limit: number
  /** Permits that are taken. */
  readonly inFlight: number
  readonly queue: number
  /** Calls that wait. */
  readonly queued: number
}

/**
 * A bound on the calls in flight.
 *
 * - `run`: runs an effect when it has a permit, or rejects it. Throws a `RangeError` when the priority is not a finite
 *   number.
 * - `state`: how things stand.
 * - `reconfigure`: another `limit`, `queue` and `maxWait` from now on; what is left out stays. Calls that run keep their
 *   permits and calls that wait their places, so with a lower limit there may be more in flight for a while. Throws a
 *   `RangeError` for an option out of its range.
 *
 * @category services
 * @since 0.1.0
 */
export class Bulkhead extends Context.Service<Bulkhead, {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly run: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: RunOptions
  ) => Effect.Effect<A, E | BulkheadRejected, R>
  readonly state: Effect.Effect<State>
  readonly reconfigure: (changes: Partial<Omit<UnnamedOptions, "order">>) => Effect.Effect<void>
}>()("effect-resilience/Bulkhead") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isBulkhead = (u: unknown): u is Bulkhead["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * A bulkhead of one's own.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (No place to wait: the second is told at once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const bulkhead = yield* Bulkhead.make({ name: "reports", limit: 1 })
 *   yield* Effect.forkChild(bulkhead.run(Effect.never), { startImmediately: true })
 *   const error = yield* Effect.flip(bulkhead.run(Effect.succeed("a report")))
 *   return error.reason
 * })
 * await Effect.runPromise(program) // => "Full"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Bulkhead["Service"]> => {
  const settings = check(options.name, options)
  return Effect.sync(() => guard(settings))
}

/**
 * {@link make} as a layer.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Bulkhead> => Layer.effect(Bulkhead, make(options))

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<Bulkhead, Config.ConfigError> =>
  layerFromConfig(options, layer)

/**
 * A bulkhead that admits every call and counts none. Its limit is `Infinity`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoop: Layer.Layer<Bulkhead> = Layer.sync(Bulkhead, () => noop("noop"))

/**
 * Runs an effect in the program's {@link Bulkhead}.
 *
 * **Example** (What is important goes first)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * const order: Array<string> = []
 * const call = (who: string, priority: number) =>
 *   Effect.sync(() => order.push(who)).pipe(Effect.tap(Effect.yieldNow), Bulkhead.run({ priority }))
 *
 * const program = Effect.all([call("first", 0), call("batch", 0), call("checkout", 10)], { concurrency: "unbounded" })
 * const layer = Bulkhead.layer({ name: "shop", limit: 1, queue: 10, order: "priority" })
 * await Effect.runPromise(Effect.provide(program, layer))
 * order // => ["first", "checkout", "batch"]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const run: {
  (options?: RunOptions): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | BulkheadRejected, R | Bulkhead>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: RunOptions
  ): Effect.Effect<A, E | BulkheadRejected, R | Bulkhead>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(self: Effect.Effect<A, E, R>, options?: RunOptions): Effect.Effect<
    A,
    E | BulkheadRejected,
    R | Bulkhead
  > => {
    priorityOf(options)
    return Effect.flatMap(Bulkhead, (bulkhead) => bulkhead.run(self, options))
  }
)

/**
 * A registry of bulkheads, made by {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out Name extends string>
  extends Context.ServiceClass<Self, Id, { readonly [N in Name]: Bulkhead["Service"] }>
{
  /** All of them, with the options they were declared with. */
  readonly layer: Layer.Layer<Self>
  /** All of them, with options from `Config` in place of those they were declared with. */
  readonly layerConfig: (
    options: Config.Wrap<{ readonly [N in Name]: UnnamedOptions }>
  ) => Layer.Layer<Self, Config.ConfigError>
  /** Bulkheads that admit every call. */
  readonly layerNoop: Layer.Layer<Self>
  /** Runs an effect in the bulkhead of this name. */
  readonly run: {
    (name: Name, options?: RunOptions): <A, E, R>(
      self: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | BulkheadRejected, R | Self>
    <A, E, R>(
      self: Effect.Effect<A, E, R>,
      name: Name,
      options?: RunOptions
    ): Effect.Effect<A, E | BulkheadRejected, R | Self>
  }
}

/**
 * Declares several bulkheads as one service. A name that is not among them does not compile.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (One for each dependency)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "effect-resilience"
 *
 * class Bulkheads extends Bulkhead.Service<Bulkheads>()("app/Bulkheads", {
 *   openai: { limit: 50, queue: 100, maxWait: "2 seconds" },
 *   database: { limit: 10 }
 * }) {}
 *
 * const call = Effect.succeed("an answer").pipe(Bulkheads.run("openai"))
 * await Effect.runPromise(Effect.provide(call, Bulkheads.layer)) // => "an answer"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, const Declared extends { readonly [name: string]: UnnamedOptions }>(
    id: Id,
    bulkheads: Declared
  ): ServiceClass<Self, Id, keyof Declared & string> => {
    type Name = keyof Declared & string
    type All = { readonly [N in Name]: Bulkhead["Service"] }
    const names = Object.keys(bulkheads) as ReadonlyArray<Name>
    const all = (one: (name: Name) => Bulkhead["Service"]): All =>
      Object.fromEntries(names.map((name) => [name, one(name)])) as All
    const Tag = Context.Service<Self, All>()(id)

    const layerOf = (options: { readonly [N in Name]: UnnamedOptions }): Layer.Layer<Self> => {
      const settings = new Map(names.map((name) => [name, check(name, options[name], `${name}.`)]))
      return Layer.sync(Tag, () => all((name) => guard(settings.get(name)!)))
    }
    const runNamed = <A, E, R>(self: Effect.Effect<A, E, R>, name: Name, options?: RunOptions) => {
      priorityOf(options)
      return Effect.flatMap(Tag, (registry) => registry[name].run(self, options))
    }
    return Object.assign(Tag, {
      layer: layerOf(bulkheads),
      layerConfig: (options: Config.Wrap<{ readonly [N in Name]: UnnamedOptions }>) =>
        layerFromConfig(options, layerOf),
      layerNoop: Layer.sync(Tag, () => all(noop)),
      run: dual<ServiceClass<Self, Id, Name>["run"], typeof runNamed>((args) => Effect.isEffect(args[0]), runNamed)
    })
  }

interface Settings {
  readonly name: string
  readonly limit: number
  readonly queue: number
  readonly maxWaitMillis: number
  readonly order: Order
}

const check = (name: string, options: UnnamedOptions, prefix = ""): Settings => ({
  name,
  limit: positiveInteger(`${prefix}limit`, options.limit),
  queue: nonNegativeInteger(`${prefix}queue`, options.queue ?? 0),
  maxWaitMillis: options.maxWait === undefined
    ? Infinity
    : positiveMillis(`${prefix}maxWait`, options.maxWait, { infinite: true }),
  order: oneOf(`${prefix}order`, options.order ?? "fifo", ["fifo", "lifo", "priority"])
})

const priorityOf = (options: RunOptions | undefined): number =>
  options?.priority === undefined ? 0 : finiteNumber("priority", options.priority)

/** One call on its way through a bulkhead. */
class Ticket implements Call {
  readonly priority: number
  standing: Standing = "New"
  rank: Rank | undefined = undefined
  ahead: Member | undefined = undefined
  behind: Member | undefined = undefined
  /** Ends the wait; set while there is one. */
  wake: (() => void) | undefined = undefined

  constructor(priority: number) {
    this.priority = priority
  }
}

const guard = (settings: Settings): Bulkhead["Service"] => {
  const { name, order } = settings
  let { maxWaitMillis } = settings
  const permits = new Permits<Ticket>(settings.limit, settings.queue, order)
  // They differ in nothing from one rejection to the next, so each is made once.
  let full = rejection(settings, "Full")
  let waitTimeout = rejection(settings, "WaitTimeout")
  let current = settings

  const run = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: RunOptions
  ): Effect.Effect<A, E | BulkheadRejected, R> => {
    const priority = priorityOf(options)
    return Effect.withFiber((fiber) => {
      const ticket = new Ticket(priority)
      // The permit is taken below the finalizer: a fiber may be interrupted between any two steps, so whatever is taken
      // before the finalizer is in place can be lost.
      return Effect.onExitPrimitive(
        Effect.suspend(() => enter(fiber, ticket, self)),
        () => {
          leave(fiber, ticket)
          return undefined
        }
      )
    })
  }

  const enter = <A, E, R>(
    fiber: AnyFiber,
    ticket: Ticket,
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | BulkheadRejected, R> => {
    const displaced = permits.arrive(ticket)
    if (displaced !== undefined) wakeSoon(fiber, displaced)
    return ticket.standing === "Waiting" ? wait(fiber, ticket, self) : decided(fiber, ticket, self, 0)
  }

  const wait = <A, E, R>(
    fiber: AnyFiber,
    ticket: Ticket,
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | BulkheadRejected, R> => {
    const since = monotonicMillis(fiber)
    const turn = Effect.callback<void>((resume) => {
      // It may have come before the wait began.
      if (ticket.standing !== "Waiting") resume(Effect.void)
      else ticket.wake = () => resume(Effect.void)
    })
    return Effect.flatMap(
      maxWaitMillis === Infinity
        ? turn
        : Effect.timeoutOrElse(turn, { duration: maxWaitMillis, orElse: () => Effect.void }),
      () => decided(fiber, ticket, self, monotonicMillis(fiber) - since)
    )
  }

  /** The wait is over, or there was none: a permit is held, or the time is up, or there was no place. */
  const decided = <A, E, R>(
    fiber: AnyFiber,
    ticket: Ticket,
    self: Effect.Effect<A, E, R>,
    waitedMillis: number
  ): Effect.Effect<A, E | BulkheadRejected, R> => {
    const reason = ticket.standing === "Holding" ? undefined : ticket.standing === "Waiting" ? "WaitTimeout" : "Full"
    // The place is given up before anybody hears that there was no permit.
    if (reason === "WaitTimeout") permits.leave(ticket)
    if (Signal.isHeardUnsafe(fiber)) {
      Signal.emitUnsafe(fiber, {
        _tag: "ConcurrencyDecided",
        name,
        policy: "bulkhead",
        decision: reason === undefined ? "admitted" : "rejected",
        reason,
        waited: Duration.millis(waitedMillis),
        limit: permits.limit,
        inFlight: permits.inFlight,
        queued: permits.queued
      })
    }
    return reason === undefined ? self : reason === "Full" ? full : waitTimeout
  }

  const leave = (fiber: AnyFiber, ticket: Ticket): void => {
    const { standing } = ticket
    const next = permits.leave(ticket)
    if (next !== undefined) wakeSoon(fiber, next)
    if ((standing === "Holding" || standing === "Waiting") && Signal.isHeardUnsafe(fiber)) {
      Signal.emitUnsafe(fiber, {
        _tag: "ConcurrencyReleased",
        name,
        policy: "bulkhead",
        limit: permits.limit,
        inFlight: permits.inFlight,
        queued: permits.queued
      })
    }
  }

  return {
    [TypeId]: TypeId,
    name,
    run,
    state: Effect.sync(() => ({
      limit: permits.limit,
      inFlight: permits.inFlight,
      queue: permits.places,
      queued: permits.queued
    })),
    reconfigure: (changes) => {
      const next = check(name, { ...asOptions(current), ...changes })
      return Effect.withFiber((fiber) => {
        current = next
        maxWaitMillis = next.maxWaitMillis
        full = rejection(next, "Full")
        waitTimeout = rejection(next, "WaitTimeout")
        for (const ticket of permits.resize(next.limit, next.queue)) wakeSoon(fiber, ticket)
        return Effect.void
      })
    }
  }
}

const asOptions = ({ limit, maxWaitMillis, order, queue }: Settings): UnnamedOptions => ({
  limit,
  queue,
  order,
  maxWait: maxWaitMillis
})

const rejection = (
  { limit, name, queue }: Settings,
  reason: BulkheadRejected["reason"]
): Effect.Effect<never, BulkheadRejected> =>
  Effect.fail(withoutStack(() => new BulkheadRejected({ name, reason, limit, queue })))

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** A task of its own: else a long line whose work ends at once would be served on one stack. */
const wakeSoon = (fiber: AnyFiber, ticket: Ticket): void =>
  fiber.currentDispatcher.scheduleTask(() => ticket.wake?.(), 0)

const noop = (name: string): Bulkhead["Service"] => ({
  [TypeId]: TypeId,
  name,
  run: (self) => self,
  state: Effect.succeed({ limit: Infinity, inFlight: 0, queue: 0, queued: 0 }),
  reconfigure: () => Effect.void
})
