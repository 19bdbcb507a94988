/**
 * The circuits of one breaker in this process, by key, and never more than `capacity`.
 *
 * Which one has to go is decided as the clock algorithm of page caches does: a look-up only sets a mark, and whoever
 * needs a place takes it from a closed circuit without one. A circuit that is not closed keeps its place. Where none is to
 * be had, the newcomer is not remembered: its call runs under a circuit that nobody sees again.
 */
import { Circuit } from "./machine.ts"
import type { Policy } from "./policy.ts"

/** How many circuits are looked at for a place: a new key costs the same however many are open. */
const maxLooks = 32

export class Registry {
  private readonly circuits = new Map<string, Circuit>()
  private readonly capacity: number
  private readonly idleMillis: number
  private sweptAt: number | undefined

  constructor(capacity: number, idleMillis: number) {
    this.capacity = capacity
    this.idleMillis = idleMillis
  }

  get size(): number {
    return this.circuits.size
  }

  get(key: string, policy: Policy, now: () => number): Circuit {
    const circuit = this.circuits.get(key)
    if (circuit === undefined) return this.add(key, policy, now())
    circuit.used = true
    return circuit
  }

  /** The circuit of this key for somebody who is about to command it: it is remembered, whatever the capacity. */
  keep(key: string, policy: Policy): Circuit {
    let circuit = this.circuits.get(key)
    if (circuit === undefined) {
      circuit = new Circuit(key, policy)
      this.circuits.set(key, circuit)
    }
    circuit.used = true
    return circuit
  }

  peek(key: string): Circuit | undefined {
    return this.circuits.get(key)
  }

  all(): Iterable<Circuit> {
    return this.circuits.values()
  }

  private add(key: string, policy: Policy, now: number): Circuit {
    const circuit = new Circuit(key, policy)
    this.sweep(now)
    if (this.circuits.size < this.capacity || this.makeRoom()) this.circuits.set(key, circuit)
    return circuit
  }

  private makeRoom(): boolean {
    let place: Circuit | undefined
    let looks = 0
    for (const circuit of this.circuits.values()) {
      if (looks++ === maxLooks) break
      if (circuit.state === "Closed") {
        if (!circuit.used) {
          place = circuit
          break
        }
        place ??= circuit
      }
      // To the end of the line: the next look begins with others.
      circuit.used = false
      this.circuits.delete(circuit.key)
      this.circuits.set(circuit.key, circuit)
    }
    return place !== undefined && this.circuits.delete(place.key)
  }

  /** Forgets what nobody asked for since the last time. */
  private sweep(now: number): void {
    this.sweptAt ??= now
    if (now - this.sweptAt < this.idleMillis) return
    this.sweptAt = now
    for (const circuit of this.circuits.values()) {
      if (circuit.used) circuit.used = false
      else if (this.isIdle(circuit, now)) this.circuits.delete(circuit.key)
    }
  }

  private isIdle(circuit: Circuit, now: number): boolean {
    switch (circuit.state) {
      case "ForcedOpen":
      case "ForcedClosed":
        return false
      case "Open":
        return now >= circuit.openUntil + this.idleMillis
      default:
        return circuit.inFlight === 0
    }
  }
}
