/** The limiter itself, over a store. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { durationMillis, nonNegativeInteger } from "../options.ts"
import { type Asked, type Asking, type Check, type Checks, prepare } from "./checks.ts"
import * as Decision from "./decision.ts"
import { type Answer, Engine, type Settings } from "./engine.ts"
import { type RateLimited, rateLimited, type RateLimiterUnavailable } from "./errors.ts"
import { Memory } from "./memory.ts"
import type { Policy } from "./policy.ts"
import * as Reservations from "./reservation.ts"
import { FirstComeFirstServed, Room } from "./room.ts"
import type { Limiter, ReserveOptions, WaitOptions } from "./service.ts"
import { TypeId } from "./service.ts"
import { RateLimiterStore } from "./store.ts"
import { type Bounds, type Line, Visitor, wait } from "./waiting.ts"

/** Keys that are counted in this process while the store is down. */
const localCapacity = 100_000

/** A line that several limiters' methods, or a fair queue, may wait in. */
export const makeLine = (room: Room<Visitor>, uniform: boolean): Line => ({
  room,
  uniform,
  ahead: [],
  refusal: undefined
})

export interface Acquired {
  readonly answer: Answer
  readonly asked: Asked
  readonly hold: string
}

export class LimiterImpl {
  readonly engine: Engine
  private readonly lines = new Map<string, Line>()
  private readonly watched = new Set<WeakRef<Line>>()
  private readonly replaced = new Map<string, Policy>()

  constructor(engine: Engine) {
    this.engine = engine
  }

  prepare(checks: Checks, reserving: boolean, estimate?: Check["cost"]): Asked {
    const list = "policy" in checks ? [checks] : checks
    if (this.replaced.size === 0 && estimate === undefined) return prepare(list, reserving)
    const changed = list.map((check): Check => ({
      policy: this.replaced.get(check.policy.name) ?? check.policy,
      key: check.key,
      cost: check.cost ?? estimate
    }))
    return prepare(changed, reserving)
  }

  replace(policy: Policy): void {
    this.replaced.set(policy.name, policy)
  }

  current(policy: Policy): Policy {
    return this.replaced.get(policy.name) ?? policy
  }

  consume(checks: Checks): Effect.Effect<Decision.Decision> {
    const asked = this.prepare(checks, false)
    return asked.holds
      ? Effect.suspend(() => this.engine.decide(asked, this.engine.nextHold()))
      : this.engine.decide(asked, "")
  }

  peek(checks: Checks): Effect.Effect<Decision.Decision> {
    const asked = this.prepare(checks, false)
    return Effect.map(this.engine.ask(asked, "", true), ({ decision }) => decision)
  }

  /** Interrupted, it has taken nothing: not even if the store decided and nobody heard of it. */
  acquire(
    asked: Asked,
    bounds: Bounds | undefined,
    hold: string,
    line?: { readonly line: Line; readonly tenant: string; readonly cost: number }
  ): Effect.Effect<Acquired, RateLimited | RateLimiterUnavailable> {
    const acquiring = Effect.map(
      line === undefined && bounds === undefined
        ? this.once(asked, hold)
        : this.waiting(asked, bounds!, hold, line),
      (answer): Acquired => ({ answer, asked, hold })
    )
    return asked.holds
      ? Effect.onExit(acquiring, (exit) => Exit.hasInterrupts(exit) ? this.abandoned(asked, hold) : Effect.void)
      : acquiring
  }

  /** Whoever waits in this process may have room now. */
  nudge(): void {
    for (const { room } of this.lines.values()) room.nudge()
    for (const ref of this.watched) {
      const line = ref.deref()
      if (line === undefined) this.watched.delete(ref)
      else line.room.nudge()
    }
  }

  /** A line of somebody else's, for as long as it is used. */
  watch(line: Line): void {
    this.watched.add(new WeakRef(line))
  }

  /** Gives back what may have been taken under a name. */
  abandoned(asked: Asked, hold: string): Effect.Effect<void> {
    return Effect.andThen(this.engine.abandon(asked, hold), Effect.sync(() => this.nudge()))
  }

  private once(asked: Asked, hold: string): Effect.Effect<Answer, RateLimited | RateLimiterUnavailable> {
    return Effect.flatMap(
      this.engine.ask(asked, hold),
      (answer): Effect.Effect<Answer, RateLimited | RateLimiterUnavailable> => {
        const { decision } = answer
        if (decision._tag === "Denied") return Effect.fail(rateLimited(decision))
        return decision._tag === "StoreUnavailable" && decision.mode === "closed"
          ? Effect.fail(Decision.unavailable(decision))
          : Effect.succeed(answer)
      }
    )
  }

  private waiting(
    asked: Asked,
    bounds: Bounds,
    hold: string,
    given: { readonly line: Line; readonly tenant: string; readonly cost: number } | undefined
  ): Effect.Effect<Answer, RateLimited | RateLimiterUnavailable> {
    if (given !== undefined) {
      return Effect.suspend(() =>
        wait(this.engine, given.line, new Visitor(asked, given.tenant, given.cost), bounds, hold)
      )
    }
    return Effect.suspend(() => {
      const name = asked.entries.map(({ key, table }) => `${table}${key.length}:${key}`).join(" ")
      let line = this.lines.get(name)
      if (line === undefined) this.lines.set(name, line = makeLine(new Room(new FirstComeFirstServed()), true))
      const { room } = line
      return Effect.ensuring(
        wait(this.engine, line, new Visitor(asked, "", 0), bounds, hold),
        Effect.sync(() => {
          if (room.size === 0 && this.lines.get(name) === line) this.lines.delete(name)
        })
      )
    })
  }
}

const boundsOf = (options: WaitOptions): Bounds => ({
  maxWaitMillis: durationMillis("maxWait", options.maxWait ?? "1 minute"),
  maxQueue: options.maxQueue === Infinity ? Infinity : nonNegativeInteger("maxQueue", options.maxQueue ?? 1_000)
})

/**
 * A place in a leaky bucket's queue cannot be given back: those behind it were promised theirs. So who can be interrupted waits here
 * instead, and takes the place when it is its turn.
 */
const withoutOverflow = (asked: Asked): { readonly asked: Asked; readonly queue: number } => {
  let queue = 0
  const entries = asked.entries.map((entry): Asking => {
    if (entry.shape.overflow === 0) return entry
    queue = Math.max(queue, Math.floor(entry.shape.overflow / entry.shape.scale))
    return { ...entry, shape: { ...entry.shape, overflow: 0 } }
  })
  return queue === 0 ? { asked, queue } : { asked: { ...asked, entries }, queue }
}

export const waitable = (
  asked: Asked,
  options: WaitOptions | undefined
): { readonly asked: Asked; readonly bounds: Bounds | undefined } => {
  const bounds = options === undefined ? undefined : boundsOf(options)
  const stripped = withoutOverflow(asked)
  return {
    asked: stripped.asked,
    bounds: bounds ?? (stripped.queue > 0 ? { maxWaitMillis: Infinity, maxQueue: stripped.queue } : undefined)
  }
}

export const makeImpl = (settings: Settings): Effect.Effect<LimiterImpl, never, RateLimiterStore | Scope.Scope> =>
  Effect.gen(function*() {
    const store = yield* RateLimiterStore
    const local = new Memory(localCapacity)
    yield* Effect.forkScoped(local.sweeping)
    const parts = [yield* Random.nextInt, yield* Random.nextInt]
    const instance = parts.map((part) => Math.abs(part).toString(36)).join("")
    return new LimiterImpl(new Engine(store, local, settings, instance))
  })

/** The service, for policies that `resolve` finds: by themselves, or by a name. */
export const makeLimiter = <P>(impl: LimiterImpl, resolve: (policy: P) => Policy): Limiter<P> => {
  const policiesOf = (checks: Checks<P>): Checks => {
    if (!("policy" in checks)) return checks.map((check) => resolved(check))
    return resolved(checks)
  }
  const resolved = (check: Check<P>): Check => ({ policy: resolve(check.policy), key: check.key, cost: check.cost })

  const acquiring = (asked: Asked, bounds: Bounds | undefined): Reservations.Acquiring => {
    const hold = impl.engine.nextHold()
    return { asked, hold, acquire: impl.acquire(asked, bounds, hold) }
  }

  const limit = (checks: Checks<P>, options?: WaitOptions) => {
    const { asked, bounds } = waitable(impl.prepare(policiesOf(checks), false), options)
    return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | RateLimited | RateLimiterUnavailable, R> =>
      asked.holds
        ? Effect.suspend(() => Reservations.during(impl, acquiring(asked, bounds), self))
        : Effect.andThen(impl.acquire(asked, bounds, ""), self)
  }

  const limiter: Limiter<P> = {
    [TypeId]: TypeId,
    consume: (checks) => impl.consume(policiesOf(checks)),
    peek: (checks) => impl.peek(policiesOf(checks)),
    limit,
    wait: (checks, options) => {
      const { asked, bounds } = waitable(impl.prepare(policiesOf(checks), false), options ?? {})
      return Effect.suspend(() =>
        Effect.map(
          impl.acquire(asked, bounds, asked.holds ? impl.engine.nextHold() : ""),
          ({ answer }) => answer.decision as Decision.Allowed | Decision.StoreUnavailable
        )
      )
    },
    reserve: (checks: Checks<P>, options: ReserveOptions = {}) => {
      const { asked, bounds } = waitable(
        Reservations.leased(impl.prepare(policiesOf(checks), true, options.estimate), options.lease),
        options.maxWait === undefined && options.maxQueue === undefined ? undefined : options
      )
      return Effect.suspend(() => Reservations.reserve(impl, acquiring(asked, bounds)))
    },
    reset: ({ key, policy }) => {
      const { name, rules } = impl.current(resolve(policy))
      return Effect.andThen(
        impl.engine.command({
          _tag: "Reset",
          places: rules.map(({ table }) => ({ table, key, policy: name })),
          subject: { policy: name, key }
        }),
        Effect.sync(() => impl.nudge())
      )
    },
    block: ({ key, policy }, duration: Duration.Input) => {
      const millis = Math.ceil(durationMillis("duration", duration))
      return Effect.andThen(
        impl.engine.command({
          _tag: "Block",
          subject: { policy: resolve(policy).name, key },
          millis: Math.min(millis, Number.MAX_SAFE_INTEGER)
        }),
        Effect.sync(() => impl.nudge())
      )
    },
    reconfigure: (policy) => Effect.sync(() => impl.replace(policy))
  }
  impls.set(limiter, impl)
  return limiter
}

/** What is behind a limiter, for those that extend it. */
const impls = new WeakMap<object, LimiterImpl>()

export const implOf = (limiter: object): LimiterImpl => {
  const impl = impls.get(limiter)
  if (impl === undefined) throw new TypeError("A limiter that was not made here has no line to wait in")
  return impl
}
