/**
 * What waits to be sent: bounded, in order, and given out in batches.
 *
 * A batch is due when it is full, or when somebody says that what waits now must go. What was given out counts as waiting
 * until it is settled.
 */
export interface Limits {
  /** How many may wait, without those that were given out. */
  readonly capacity: number
  readonly batchSize: number
}

export interface Batch<A> {
  readonly items: ReadonlyArray<A>
  /** How many were taken in before the first of them. */
  readonly from: number
}

export class Outbox<A> {
  private readonly limits: Limits
  private waiting: Array<A> = []
  private readonly out = new Set<Batch<A>>()
  private given = 0
  /** How many of those that wait go out even if they fill no batch. */
  private due = 0
  /** How many were ever given out: the number of the first that waits. */
  private head = 0

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** Takes an item, or refuses it for want of room. */
  offer(item: A): boolean {
    if (this.waiting.length >= this.limits.capacity) return false
    this.waiting.push(item)
    return true
  }

  /** Whether there is a batch to be had. */
  get isDue(): boolean {
    return this.due > 0 || this.waiting.length >= this.limits.batchSize
  }

  /** All that waits is due now. */
  makeDue(): void {
    this.due = this.waiting.length
  }

  /** The oldest that are due. */
  take(): Batch<A> | undefined {
    if (!this.isDue) return undefined
    const items = this.waiting.splice(0, this.limits.batchSize)
    const batch = { items, from: this.head }
    this.head += items.length
    this.due = Math.max(0, this.due - items.length)
    this.given += items.length
    this.out.add(batch)
    return batch
  }

  /** A batch is done with, one way or the other. */
  settle(batch: Batch<A>): void {
    if (this.out.delete(batch)) this.given -= batch.items.length
  }

  /** Gives up what waits, and says how much that was. What was given out is settled by who has it. */
  drop(): number {
    const dropped = this.waiting.length
    this.waiting = []
    this.due = 0
    this.head += dropped
    return dropped
  }

  /** How many wait or were given out. */
  get size(): number {
    return this.waiting.length + this.given
  }

  /** A mark that {@link isSettledTo} knows: behind all that was taken in so far. */
  get mark(): number {
    return this.head + this.waiting.length
  }

  /** Whether all before the mark is settled. */
  isSettledTo(mark: number): boolean {
    return this.head >= mark && [...this.out].every(({ from }) => from >= mark)
  }
}
