/** Where callers wait for their turn to ask the store. One asks, the others stand in line; whoever leaves, however, lets the next one ask. */

export interface Waiter {
  /** Whose share it counts against, where turns are taken by tenant. */
  readonly tenant: string
  /** What serving it costs, where shares are counted. */
  readonly cost: number
  /** Ends what it waits for at the moment: its turn, or the time to ask again. */
  wake: (() => void) | undefined
}

/** The order of those in line, without the one whose turn it is. */
export interface Turns<W extends Waiter> {
  readonly add: (waiter: W) => void
  readonly remove: (waiter: W) => void
  readonly take: () => W | undefined
}

/** In the order in which they came. */
export class FirstComeFirstServed<W extends Waiter> implements Turns<W> {
  private readonly waiters = new Set<W>()

  add(waiter: W): void {
    this.waiters.add(waiter)
  }

  remove(waiter: W): void {
    this.waiters.delete(waiter)
  }

  take(): W | undefined {
    const first = this.waiters.values().next()
    if (first.done === true) return undefined
    this.waiters.delete(first.value)
    return first.value
  }
}

export class Room<W extends Waiter> {
  size = 0
  current: W | undefined
  private readonly turns: Turns<W>

  constructor(turns: Turns<W>) {
    this.turns = turns
  }

  enter(waiter: W): void {
    this.size++
    if (this.current === undefined) this.current = waiter
    else this.turns.add(waiter)
  }

  leave(waiter: W): void {
    this.size--
    if (this.current !== waiter) {
      this.turns.remove(waiter)
      return
    }
    this.current = this.turns.take()
    this.current?.wake?.()
  }

  /** Something was given back: whose turn it is may ask again. */
  nudge(): void {
    this.current?.wake?.()
  }
}
