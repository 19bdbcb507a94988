/**
 * A circuit as a state machine, with no Effect in it.
 *
 * Every step takes the circuit, the policy and the `World` (time, chance, and somebody to tell), changes the circuit and
 * says what it decided. Time moves a circuit only when somebody looks at it: `tick` comes first in each step.
 *
 * A permit is the number of what admitted the call: a probe's own, or the circuit's generation. Each state that makes a
 * fresh start takes a new generation, so a call that was let through before has a permit that nobody knows any more, and
 * its outcome changes nothing.
 */
import type { CircuitState } from "../../Signal.ts"
import { openFor, type Policy } from "./policy.ts"
import * as Ramp from "./ramp.ts"
import type { Trip } from "./trip.ts"
import * as Windows from "./windows.ts"

/** Why a circuit changed its state. */
export type Reason =
  | "tripped"
  | "open time over"
  | "probe failed"
  | "probes succeeded"
  | "probe deadline"
  | "recovered"
  | "unhealthy"
  | "forced"
  | "released"
  | "reset"

export interface World {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Uniform in `[0, 1)`. */
  readonly random: () => number
  readonly moved: (circuit: Circuit, from: CircuitState, reason: Reason) => void
}

export type Verdict = "success" | "failure" | "ignored"

interface Probe {
  readonly permit: number
  readonly startedAt: number
}

const noProbes: Array<Probe> = []

/** The state of one circuit. Changed by the steps below and by nobody else. */
export class Circuit {
  readonly key: string
  /** Set by whoever looks the circuit up, cleared by whoever wants to know which ones nobody does. */
  used = true
  state: CircuitState = "Closed"
  generation = 0
  /** The last permit that was given out. */
  permits = 0
  /** The policy that `window` was made for. */
  trip: Trip
  window: Windows.Window
  /** Calls that run, whenever they were let through. */
  inFlight = 0
  /** Open: until when, and for how long in all. */
  openUntil = 0
  openedFor = 0
  /** Openings in a row, forgotten at `forgetAt` by a circuit that stayed closed until then. */
  openings = 0
  forgetAt = 0
  /** HalfOpen: the probes that run, oldest first, and how the others ended. */
  probes: Array<Probe> = noProbes
  succeeded = 0
  failed = 0
  /** Recovering: since when. */
  recoveringSince = 0

  constructor(key: string, policy: Policy) {
    this.key = key
    this.trip = policy.trip
    this.window = Windows.make(policy.trip)
  }
}

/** What `admit` says instead of a permit. */
export const refused = -1

/** Lets a call through and gives it a permit, or says {@link refused}. */
export const admit = (policy: Policy, circuit: Circuit, world: World): number =>
  circuit.state === "Closed" ? admitClosed(policy, circuit, world) : admitElse(policy, circuit, world)

const admitClosed = (policy: Policy, circuit: Circuit, world: World): number => {
  if (circuit.inFlight >= policy.maxWhileUnhealthy && circuit.window.isUnhealthy(world.now)) return refused
  circuit.inFlight++
  return circuit.generation
}

const admitElse = (policy: Policy, circuit: Circuit, world: World): number => {
  const now = world.now()
  tick(policy, circuit, world, now)
  switch (circuit.state) {
    case "Closed":
      return admitClosed(policy, circuit, world)
    case "Recovering":
      return world.random() < admitted(policy, circuit, now) ? admitClosed(policy, circuit, world) : refused
    case "Open":
      if (now < circuit.openUntil) return refused
      halfOpen(circuit, world, "open time over")
      return admitProbe(policy, circuit, now)
    case "HalfOpen":
      return admitProbe(policy, circuit, now)
    case "ForcedOpen":
      return refused
    case "ForcedClosed":
      circuit.inFlight++
      return circuit.generation
  }
}

const admitProbe = (policy: Policy, circuit: Circuit, now: number): number => {
  if (circuit.probes.length + circuit.succeeded + circuit.failed >= policy.probes) return refused
  const permit = ++circuit.permits
  circuit.probes.push({ permit, startedAt: now })
  circuit.inFlight++
  return permit
}

/** A call that was let through has ended. `hint` is the wait that the dependency asked for, in milliseconds. */
export const settle = (
  policy: Policy,
  circuit: Circuit,
  permit: number,
  verdict: Verdict,
  millis: number,
  hint: number,
  world: World
): void => {
  circuit.inFlight--
  if (circuit.state === "HalfOpen" || circuit.state === "Recovering") tick(policy, circuit, world, world.now())
  switch (circuit.state) {
    case "Closed":
    case "Recovering":
      if (permit === circuit.generation && verdict !== "ignored") {
        if (circuit.trip !== policy.trip) adopt(policy, circuit, world)
        if (circuit.window.record(verdict === "failure", millis, world.now)) {
          open(policy, circuit, world, "tripped", world.now(), hint)
        }
      }
      return
    case "HalfOpen": {
      const at = circuit.probes.findIndex((probe) => probe.permit === permit)
      if (at === -1) return
      circuit.probes.splice(at, 1)
      if (verdict === "ignored") return
      if (verdict === "failure" || millis > policy.slowerThan) circuit.failed++
      else circuit.succeeded++
      decide(policy, circuit, world, world.now(), hint)
    }
  }
}

/** A call that was let through was interrupted: that says nothing of the dependency, and frees its place. */
export const interrupt = (policy: Policy, circuit: Circuit, permit: number, world: World): void =>
  settle(policy, circuit, permit, "ignored", 0, 0, world)

/** Does what time has brought since the last look. */
const tick = (policy: Policy, circuit: Circuit, world: World, now: number): void => {
  if (circuit.state === "HalfOpen") {
    decide(policy, circuit, world, now, 0)
    const oldest = circuit.probes[0]
    if (circuit.state === "HalfOpen" && oldest !== undefined && now >= oldest.startedAt + policy.deadline) {
      const at = oldest.startedAt + policy.deadline
      if (policy.onDeadline === "Open") open(policy, circuit, world, "probe deadline", at, 0)
      else close(policy, circuit, world, "probe deadline", at)
    }
  }
  if (circuit.state === "Recovering" && now >= circuit.recoveringSince + (policy.ramp?.millis ?? 0)) {
    move(circuit, "Closed", "recovered", world)
  }
}

/** Ends a half-open round whose result is certain. */
const decide = (policy: Policy, circuit: Circuit, world: World, now: number, hint: number): void => {
  if (circuit.succeeded >= policy.needed) close(policy, circuit, world, "probes succeeded", now)
  else if (circuit.failed > policy.probes - policy.needed) open(policy, circuit, world, "probe failed", now, hint)
}

/** The operator decides, until {@link release} or {@link reset}. */
export const force = (circuit: Circuit, state: "ForcedOpen" | "ForcedClosed", world: World): void => {
  if (circuit.state === state) return
  startAfresh(circuit)
  move(circuit, state, "forced", world)
}

/** The machine decides again. Nothing is known of a dependency that nobody called, so a circuit forced open probes. */
export const release = (circuit: Circuit, world: World): void => {
  if (circuit.state === "ForcedOpen") halfOpen(circuit, world, "released")
  else if (circuit.state === "ForcedClosed") {
    circuit.forgetAt = world.now() + circuit.openedFor
    startAfresh(circuit)
    move(circuit, "Closed", "released", world)
  }
}

/** Closed, with nothing remembered, whatever it was. */
export const reset = (circuit: Circuit, world: World): void => {
  startAfresh(circuit)
  circuit.openings = 0
  circuit.openedFor = 0
  if (circuit.state !== "Closed") move(circuit, "Closed", "reset", world)
}

/** Another policy: state, permits, and what the windows remember stay. Calls that run count when they end. */
export const reconfigure = (policy: Policy, circuit: Circuit, world: World): void => {
  if (circuit.trip !== policy.trip) adopt(policy, circuit, world)
  if (circuit.state === "HalfOpen" || circuit.state === "Recovering") tick(policy, circuit, world, world.now())
}

/** Somebody knows that the dependency is ill, or well again: it is not called, or probed at once. */
export const health = (policy: Policy, circuit: Circuit, healthy: boolean, world: World): void => {
  const now = world.now()
  tick(policy, circuit, world, now)
  switch (circuit.state) {
    case "Open":
      if (healthy) circuit.openUntil = now
      return
    case "Closed":
    case "Recovering":
    case "HalfOpen":
      if (!healthy) open(policy, circuit, world, "unhealthy", now, 0)
  }
}

/** How long a caller that was refused may as well wait, in milliseconds. An estimate, except of an open circuit. */
export const retryAfter = (policy: Policy, circuit: Circuit, now: number): number => {
  switch (circuit.state) {
    case "Open":
      return Math.max(0, circuit.openUntil - now)
    case "Recovering": {
      const elapsed = now - circuit.recoveringSince
      return policy.ramp === undefined ? 0 : Math.max(0, Ramp.at(policy.ramp, elapsed).next - elapsed)
    }
    case "ForcedOpen":
      return openFor(policy, 1)
    case "HalfOpen":
    case "Closed":
      return Math.min(soon, policy.deadline)
    case "ForcedClosed":
      return 0
  }
}

/** A probe, or a full house, is over in the time of a call: nobody knows how long that is. */
const soon = 1000

/** The fraction of the calls that is let through now: 0, 1, or between them while the circuit recovers. */
export const admitted = (policy: Policy, circuit: Circuit, now: number): number => {
  switch (circuit.state) {
    case "Closed":
    case "ForcedClosed":
      return 1
    case "Recovering":
      return policy.ramp === undefined ? 1 : Ramp.at(policy.ramp, now - circuit.recoveringSince).fraction
    case "Open":
    case "HalfOpen":
    case "ForcedOpen":
      return 0
  }
}

const open = (policy: Policy, circuit: Circuit, world: World, reason: Reason, at: number, hint: number): void => {
  if (circuit.state !== "HalfOpen" && at >= circuit.forgetAt) circuit.openings = 0
  circuit.openings++
  circuit.openedFor = Math.max(openFor(policy, circuit.openings), Math.min(hint, policy.maxHint))
  circuit.openUntil = at + circuit.openedFor
  startAfresh(circuit)
  move(circuit, "Open", reason, world)
}

const close = (policy: Policy, circuit: Circuit, world: World, reason: Reason, at: number): void => {
  circuit.forgetAt = at + circuit.openedFor
  startAfresh(circuit)
  circuit.recoveringSince = at
  move(circuit, policy.ramp === undefined ? "Closed" : "Recovering", reason, world)
}

const halfOpen = (circuit: Circuit, world: World, reason: Reason): void => {
  startAfresh(circuit)
  circuit.probes = []
  move(circuit, "HalfOpen", reason, world)
}

/** From here on, no call that was let through before counts. */
const startAfresh = (circuit: Circuit): void => {
  circuit.generation = ++circuit.permits
  circuit.window.clear()
  circuit.probes = noProbes
  circuit.succeeded = 0
  circuit.failed = 0
}

const adopt = (policy: Policy, circuit: Circuit, world: World): void => {
  circuit.window = Windows.make(policy.trip, circuit.window, world.now)
  circuit.trip = policy.trip
}

const move = (circuit: Circuit, to: CircuitState, reason: Reason, world: World): void => {
  const from = circuit.state
  circuit.state = to
  world.moved(circuit, from, reason)
}
