/** A map of at most `capacity` entries, which forgets the one that was used longest ago. */
export class Recent<A> {
  // A `Map` keeps its order of insertion, so an entry that is taken out and put back is the youngest.
  private readonly entries = new Map<string, A>()
  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string): A | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    this.entries.delete(key)
    this.entries.set(key, entry)
    return entry
  }

  set(key: string, entry: A): void {
    this.entries.delete(key)
    this.entries.set(key, entry)
    if (this.entries.size <= this.capacity) return
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest)
      return
    }
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
  }
}
