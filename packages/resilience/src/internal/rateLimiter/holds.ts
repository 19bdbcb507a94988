/** What reservations and leases hold of one key, until they are settled or run out. */

interface Hold {
  amount: number
  expires: number
}

export class Holds {
  /** What is held, as of the last `drop`. */
  total = 0
  private readonly byName = new Map<string, Hold>()
  /** No hold runs out before this. */
  private earliest = Infinity

  get size(): number {
    return this.byName.size
  }

  /** Forgets what ran out. */
  drop(now: number): void {
    if (now < this.earliest) return
    let earliest = Infinity
    for (const [name, { amount, expires }] of this.byName) {
      if (expires <= now) {
        this.total -= amount
        this.byName.delete(name)
      } else earliest = Math.min(earliest, expires)
    }
    this.earliest = earliest
  }

  add(name: string, amount: number, expires: number): void {
    this.remove(name)
    this.byName.set(name, { amount, expires })
    this.total += amount
    this.earliest = Math.min(this.earliest, expires)
  }

  renew(name: string, expires: number): boolean {
    const hold = this.byName.get(name)
    if (hold === undefined) return false
    // A clock that went back shortens nothing.
    hold.expires = Math.max(hold.expires, expires)
    return true
  }

  remove(name: string): boolean {
    const hold = this.byName.get(name)
    if (hold === undefined) return false
    this.total -= hold.amount
    return this.byName.delete(name)
  }

  expiries(): ReadonlyArray<readonly [at: number, amount: number]> {
    return Array.from(this.byName.values(), ({ amount, expires }) => [expires, amount] as const)
      .toSorted((a, b) => a[0] - b[0])
  }
}
