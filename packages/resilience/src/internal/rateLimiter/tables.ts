/** The keys of every rule, in this process. */
import * as Algorithms from "./algorithms.ts"
import type { Cell } from "./decide.ts"
import { Holds } from "./holds.ts"
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"

/** How many keys are looked at to find one that may go. */
const looks = 64

export class Table {
  shape: Shape
  /** When it was gone through last. */
  swept = -Infinity
  readonly states = new Map<string, State>()
  readonly holds = new Map<string, Holds>()

  constructor(shape: Shape) {
    this.shape = shape
  }

  cell(key: string, now: number): Cell {
    const holds = this.holds.size === 0 ? undefined : this.holds.get(key)
    holds?.drop(now)
    return {
      state: this.states.get(key),
      held: holds?.total ?? 0,
      expiries: () => holds?.expiries() ?? []
    }
  }

  hold(key: string): Holds {
    let holds = this.holds.get(key)
    if (holds === undefined) this.holds.set(key, holds = new Holds())
    return holds
  }

  /** Removes a state that is as if nothing had been taken, or makes room by removing one that refuses nobody. */
  private mayGo(key: string, state: State, now: number, expiredOnly: boolean): boolean {
    const { shape } = this
    const advanced = Algorithms.advance(shape, state, now)
    if (Algorithms.reset(shape, advanced, now) === 0) return true
    if (expiredOnly || this.holds.has(key)) return false
    return Algorithms.wait(shape, advanced, Math.min(shape.scale, shape.most), 0, now) === 0
  }

  /** Removes what is over from up to `count` of the keys that `cursor` goes through; `false` when it is at its end. */
  sweep(cursor: Iterator<[string, State]>, count: number, now: number): boolean {
    for (; count > 0; count--) {
      const next = cursor.next()
      if (next.done === true) return false
      if (this.mayGo(next.value[0], next.value[1], now, true)) this.states.delete(next.value[0])
    }
    return true
  }

  /** How long to let it be: going through a table costs as much as it has keys, so those of long windows have it seldom. */
  get rest(): number {
    return Math.max(1_000, this.shape.window)
  }

  sweepHolds(now: number): void {
    for (const [key, holds] of this.holds) {
      holds.drop(now)
      if (holds.size === 0) this.holds.delete(key)
    }
  }

  /** Removes one key that refuses nobody; those that do go to the end, so that they are not looked at again soon. */
  evict(now: number): boolean {
    let left = looks
    for (const [key, state] of this.states) {
      if (this.mayGo(key, state, now, false)) return this.states.delete(key)
      if (--left === 0) return false
      this.states.delete(key)
      this.states.set(key, state)
    }
    return false
  }
}
