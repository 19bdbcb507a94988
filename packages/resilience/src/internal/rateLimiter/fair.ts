/**
 * Turns shared between tenants: deficit round robin (Shreedhar and Varghese, 1995).
 *
 * In each round a tenant that waits is credited its weight, and is served as long as its credit pays for it. What it leaves unused
 * while it does not wait is not saved: it goes to the others.
 */
import type { Turns, Waiter } from "./room.ts"

interface Tenant<W> {
  readonly name: string
  readonly waiters: Set<W>
  readonly weight: number
  credit: number
  /** It is its turn, and it has been credited for it. */
  isVisited: boolean
}

export class DeficitRoundRobin<W extends Waiter> implements Turns<W> {
  /** Those that wait, whose turn it is first. */
  private readonly tenants = new Map<string, Tenant<W>>()
  private readonly weightOf: (tenant: string) => number

  constructor(weightOf: (tenant: string) => number) {
    this.weightOf = weightOf
  }

  /** How many of a tenant wait. */
  count(tenant: string): number {
    return this.tenants.get(tenant)?.waiters.size ?? 0
  }

  add(waiter: W): void {
    let tenant = this.tenants.get(waiter.tenant)
    if (tenant === undefined) {
      tenant = {
        name: waiter.tenant,
        waiters: new Set(),
        weight: this.weightOf(waiter.tenant),
        credit: 0,
        isVisited: false
      }
      this.tenants.set(waiter.tenant, tenant)
    }
    tenant.waiters.add(waiter)
  }

  remove(waiter: W): void {
    const tenant = this.tenants.get(waiter.tenant)
    if (tenant === undefined) return
    tenant.waiters.delete(waiter)
    if (tenant.waiters.size === 0) this.tenants.delete(tenant.name)
  }

  take(): W | undefined {
    let passed = 0
    let rounds = Infinity
    while (this.tenants.size > 0) {
      const tenant: Tenant<W> = this.tenants.values().next().value!
      if (!tenant.isVisited) {
        tenant.isVisited = true
        tenant.credit += tenant.weight
      }
      const first: W = tenant.waiters.values().next().value!
      if (tenant.credit >= first.cost) {
        tenant.credit -= first.cost
        this.remove(first)
        return first
      }
      rounds = Math.min(rounds, Math.ceil((first.cost - tenant.credit) / tenant.weight))
      // It cannot pay any more: the next has its turn.
      tenant.isVisited = false
      this.tenants.delete(tenant.name)
      this.tenants.set(tenant.name, tenant)
      if (++passed < this.tenants.size) continue
      // Nobody could: all rounds at once but the one in which somebody can.
      for (const other of this.tenants.values()) other.credit += (rounds - 1) * other.weight
      passed = 0
      rounds = Infinity
    }
    return undefined
  }
}
