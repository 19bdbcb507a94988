/** The store in memory: a registry for each name, and the machine run on it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type { CircuitState } from "../../Signal.ts"
import * as Machine from "./machine.ts"
import type { Policy } from "./policy.ts"
import { Registry } from "./registry.ts"
import { CircuitBreakerStore, type Circuits, type Command, type Move, type Snapshot, StoreTypeId } from "./store.ts"

/** Breakers take the registry itself: a closed call then needs no effect of the store's. */
const registries = new WeakMap<Circuits, Registry>()

export const registryOf = (circuits: Circuits): Registry | undefined => registries.get(circuits)

export const layerStoreMemory: Layer.Layer<CircuitBreakerStore> = Layer.sync(CircuitBreakerStore, () => {
  const byName = new Map<string, Circuits>()
  return {
    [StoreTypeId]: StoreTypeId,
    open: ({ capacity, idleMillis, name }) =>
      Effect.sync(() => {
        let circuits = byName.get(name)
        if (circuits === undefined) {
          const registry = new Registry(capacity, idleMillis)
          circuits = make(registry)
          registries.set(circuits, registry)
          byName.set(name, circuits)
        }
        return circuits
      })
  }
})

/** Time and chance of the fiber that runs, and a list of what moved. One a breaker: steps do not interleave. */
export class FiberWorld implements Machine.World {
  fiber!: Fiber.Fiber<unknown, unknown>
  moves: Array<Move & { readonly key: string }> = []

  readonly now = (): number => Number(this.fiber.getRef(Clock.Clock).monotonicTimeNanosUnsafe()) / 1_000_000
  readonly random = (): number => this.fiber.getRef(Random.Random).nextDoubleUnsafe()
  readonly moved = (circuit: Machine.Circuit, from: CircuitState, reason: Machine.Reason): void => {
    const { key, openedFor, openings, state } = circuit
    this.moves.push(
      state === "Open"
        ? { key, from, to: state, reason, openFor: openedFor, openings }
        : { key, from, to: state, reason }
    )
  }

  /** What moved since the last time. */
  taken(): ReadonlyArray<Move & { readonly key: string }> {
    const { moves } = this
    if (moves.length > 0) this.moves = []
    return moves
  }
}

const commanded = (policy: Policy, circuit: Machine.Circuit, command: Command, world: Machine.World): void => {
  switch (command) {
    case "forceOpen":
      return Machine.force(circuit, "ForcedOpen", world)
    case "forceClose":
      return Machine.force(circuit, "ForcedClosed", world)
    case "release":
      return Machine.release(circuit, world)
    case "reset":
      return Machine.reset(circuit, world)
    case "healthy":
      return Machine.health(policy, circuit, true, world)
    case "unhealthy":
      return Machine.health(policy, circuit, false, world)
  }
}

/** A circuit that nobody has asked for yet is closed: reading it remembers nothing. */
const snapshotOf = (
  policy: Policy,
  circuit: Machine.Circuit | undefined,
  key: string,
  world: Machine.World
): Snapshot => {
  const { inFlight, openings, probes, state, window } = circuit ?? new Machine.Circuit(key, policy)
  const refuses = circuit !== undefined && state !== "Closed" && state !== "ForcedClosed"
  return {
    key,
    state,
    retryAfter: refuses ? Machine.retryAfter(policy, circuit, world.now()) : 0,
    openings,
    inFlight,
    probing: probes.length,
    admitted: circuit === undefined ? 1 : Machine.admitted(policy, circuit, world.now()),
    rules: window.tallies(world.now).map(({ bad, calls, rule }) => ({ rule, calls, bad, rate: rateOf(calls, bad) }))
  }
}

export const rateOf = (calls: number, bad: number): number => calls === 0 ? 0 : bad / calls

const make = (registry: Registry): Circuits => {
  const world = new FiberWorld()
  /** The permits are numbers here; elsewhere they need not be. */
  const running = new Map<string, Machine.Circuit>()
  let lastPermit = 0
  const step = <A>(f: () => A) =>
    Effect.withFiberSucceed((fiber) => {
      world.fiber = fiber
      return f()
    })
  return {
    admit: (key, policy, chance) =>
      step(() => {
        const circuit = registry.get(key, policy, world.now)
        const permit = Machine.admit(policy, circuit, { now: world.now, moved: world.moved, random: () => chance })
        const moves = world.taken()
        if (permit === Machine.refused) {
          const retryAfter = Machine.retryAfter(policy, circuit, world.now())
          return { _tag: "Refused", state: circuit.state, retryAfter, moves }
        }
        const name = `${permit}:${++lastPermit}`
        running.set(name, circuit)
        return { _tag: "Admitted", permit: name, state: circuit.state, moves }
      }),
    settle: (key, policy, { hint, millis, permit, verdict }) =>
      step(() => {
        const circuit = running.get(permit)
        const other = registry.peek(key)
        if (circuit !== undefined) {
          running.delete(permit)
          Machine.settle(policy, circuit, Number.parseInt(permit), verdict, millis, hint, world)
        } else if (other !== undefined) {
          Machine.reconfigure(policy, other, world)
        }
        return world.taken()
      }),
    command: (key, policy, command) =>
      step(() => {
        commanded(policy, registry.keep(key, policy), command, world)
        return world.taken()
      }),
    read: (key, policy) => step(() => snapshotOf(policy, registry.peek(key), key, world)),
    list: (policy) =>
      step(() => Array.from(registry.all(), (circuit) => snapshotOf(policy, circuit, circuit.key, world)))
  }
}
