/** A breaker: its options checked, its circuits opened in a store, its operations over them. */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Breaker, ProtectOptions } from "../../CircuitBreaker.ts"
import { type CircuitOpen, circuitOpen } from "./errors.ts"
import type { Classify, Guard, Setup } from "./guard.ts"
import { LocalGuard } from "./local.ts"
import * as Machine from "./machine.ts"
import { FiberWorld, registryOf } from "./memory.ts"
import * as Observers from "./observers.ts"
import { boundsOf, type Options, policyOf, type Tuning } from "./options.ts"
import { RemoteGuard, report } from "./remote.ts"
import { CircuitBreakerStore, type Command } from "./store.ts"

export const TypeId = "~effect-resilience/CircuitBreaker" as const

/** The key of calls that name none. */
const defaultKey = "default"

/** A guard with what there is to see and to do of its circuits. */
export interface Engine<X> {
  readonly guard: Guard<X>
  readonly operations: Omit<Breaker, "protect">
}

export const make = (options: Options): Effect.Effect<Breaker, never, CircuitBreakerStore | Scope.Scope> =>
  Effect.map(engine(options, circuitOpen), ({ guard, operations }) => ({ ...operations, protect: protectWith(guard) }))

/** Throws what is wrong with the options at once, not when the effect is run. */
export const engine = <X>(
  options: Options,
  rejection: Setup<X>["rejection"]
): Effect.Effect<Engine<X>, never, CircuitBreakerStore | Scope.Scope> => {
  const bounds = boundsOf(options)
  const compiled = policyOf(options)
  return Effect.gen(function*() {
    const { name } = options
    const store = yield* CircuitBreakerStore
    const circuits = yield* store.open({ name, ...bounds })
    const observers = yield* Observers.make(name)
    const command = (key: string, command: Command) =>
      Effect.flatMap(circuits.command(key, setup.policy, command), (moves) =>
        Effect.withFiber((fiber) => {
          for (const move of moves) observers.moved(fiber, key, move)
          return Effect.void
        }))
    const setup: Setup<X> = {
      rejection,
      name,
      policy: yield* compiled,
      shadow: options.shadow ?? false,
      classify: options.classify,
      watch: options.health === undefined ? undefined : yield* watching(options.health, command, bounds.capacity)
    }
    const registry = registryOf(circuits)
    const guard = registry === undefined
      ? new RemoteGuard(setup, circuits, observers)
      : new LocalGuard(setup, registry, observers)

    let tuning: Tuning = options
    const reconfigure = (changes: Partial<Tuning>) => {
      const next: Tuning = { ...tuning, ...changes }
      const compiled = policyOf(next)
      return Effect.withFiber((fiber) =>
        Effect.map(compiled, (policy) => {
          tuning = next
          setup.policy = policy
          if (registry === undefined) return
          const world = new FiberWorld()
          world.fiber = fiber
          for (const circuit of registry.all()) Machine.reconfigure(policy, circuit, world)
          for (const move of world.taken()) observers.moved(fiber, move.key, move)
        })
      )
    }

    const operations: Omit<Breaker, "protect"> = {
      [TypeId]: TypeId,
      name,
      state: (key = defaultKey) => Effect.map(circuits.read(key, setup.policy), ({ state }) => state),
      states: Effect.suspend(() =>
        Effect.map(circuits.list(setup.policy), (all) => new Map(all.map(({ key, state }) => [key, state])))
      ),
      metrics: (key = defaultKey) => circuits.read(key, setup.policy),
      snapshot: Effect.suspend(() => circuits.list(setup.policy)),
      transitions: observers.transitions,
      forceOpen: (key = defaultKey) => command(key, "forceOpen"),
      forceClose: (key = defaultKey) => command(key, "forceClose"),
      release: (key = defaultKey) => command(key, "release"),
      reset: (key = defaultKey) => command(key, "reset"),
      reconfigure
    }
    return { guard, operations }
  })
}

const protectWith = (guard: Guard<CircuitOpen>): Breaker["protect"] => {
  const protect = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: ProtectOptions<A, E>
  ): Effect.Effect<A, E | CircuitOpen, R> =>
    // A classifier of these exits gets these exits.
    guard.run(self, options?.key ?? defaultKey, options?.classify as Classify | undefined)
  return (<A, E, R>(first?: Effect.Effect<A, E, R> | ProtectOptions<A, E>, second?: ProtectOptions<A, E>) =>
    Effect.isEffect(first)
      ? protect(first, second)
      : (self: Effect.Effect<A, E, R>) => protect(self, first)) as Breaker["protect"]
}

/** Listens to the health of each key from its first call on, of the last `capacity` keys that came. */
const watching = Effect.fnUntraced(function*<E>(
  health: (key: string) => Stream.Stream<boolean>,
  command: (key: string, command: Command) => Effect.Effect<void, E>,
  capacity: number
) {
  const fibers = yield* FiberMap.make<string, void>()
  const run = yield* FiberMap.runtime(fibers)<never>()
  const watched = new Set<string>()
  const tell = (key: string, healthy: boolean) =>
    command(key, healthy ? "healthy" : "unhealthy").pipe(
      Effect.catch((error) => report("A circuit breaker could not tell its store of a change of health", error))
    )
  const listen = (key: string) => Stream.runForEach(health(key), (healthy) => tell(key, healthy))
  return (key: string) => {
    if (watched.has(key)) return
    watched.add(key)
    if (watched.size > capacity) {
      const [oldest] = watched
      if (oldest !== undefined) {
        watched.delete(oldest)
        run(oldest, Effect.void)
      }
    }
    run(key, listen(key))
  }
})
