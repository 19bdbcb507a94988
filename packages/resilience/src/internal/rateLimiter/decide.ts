/** One decision over many rules of many keys: everything is taken, or nothing is. */
import * as Algorithms from "./algorithms.ts"
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"

export interface Asked {
  readonly shape: Shape
  /** In units of the shape. */
  readonly cost: number
  /** Decides, but neither refuses nor, where it would, takes. */
  readonly shadow: boolean
}

/** What stands for one key of one rule at the time of the decision. */
export interface Cell {
  readonly state: State | undefined
  /** What is held by reservations and leases that have not run out. */
  readonly held: number
  /** When they run out and what each gives back, the earliest first. Asked for only when something does not fit. */
  readonly expiries: () => ReadonlyArray<readonly [at: number, amount: number]>
}

/** How it went with one rule. Milliseconds and units. */
export interface Outcome {
  /** 0: there was room. `Infinity`: there never will be. */
  readonly wait: number
  readonly delay: number
  readonly remaining: number
  readonly reset: number
  /** What was held before. Where it is not 0, room may come before `wait` is over: when something held is given back. */
  readonly held: number
}

export interface Decided {
  readonly allowed: boolean
  readonly outcomes: ReadonlyArray<Outcome>
  /** By entry, what to write; `undefined` where nothing changes. All are when something was refused. */
  readonly writes: ReadonlyArray<State | undefined>
}

/**
 * `take` says of each entry whether it is to be charged (or held, which writes nothing here). With `"peek"` nothing is written and the
 * outcomes are those before it.
 */
export const decide = (
  asked: ReadonlyArray<Asked>,
  cells: ReadonlyArray<Cell>,
  now: number,
  take: "peek" | ((index: number) => "charge" | "hold")
): Decided => {
  const states: Array<State> = []
  const waits: Array<number> = []
  let allowed = true
  for (let index = 0; index < asked.length; index++) {
    const { cost, shadow, shape } = asked[index]!
    const cell = cells[index]!
    const state = Algorithms.advance(shape, cell.state, now)
    const wait = waitFor(shape, state, cost, cell, now)
    states.push(state)
    waits.push(wait)
    if (wait > 0 && !shadow) allowed = false
  }
  const outcomes: Array<Outcome> = []
  const writes: Array<State | undefined> = []
  for (let index = 0; index < asked.length; index++) {
    const { cost, shape } = asked[index]!
    const { held } = cells[index]!
    const wait = waits[index]!
    let state = states[index]!
    let nowHeld = held
    let write: State | undefined
    let delay = 0
    if (wait === 0 && (allowed || take === "peek")) delay = Algorithms.delay(shape, state, cost, held, now)
    if (allowed && wait === 0 && cost > 0 && take !== "peek") {
      if (take(index) === "hold") nowHeld += cost
      else write = state = Algorithms.charge(shape, state, cost, now)
    }
    writes.push(write)
    outcomes.push({
      wait,
      delay,
      remaining: Algorithms.remaining(shape, state, nowHeld),
      reset: Algorithms.reset(shape, state, now),
      held
    })
  }
  return { allowed, outcomes, writes }
}

/**
 * Exact also where what is held runs out: the earliest time by which enough has run out *and* enough time has passed.
 * Both can only get easier, so it is the least, over how many have run out, of the later of the two.
 */
const waitFor = (shape: Shape, state: State, cost: number, cell: Cell, now: number): number => {
  let best = Algorithms.wait(shape, state, cost, cell.held, now)
  if (best === 0 || cell.held === 0 || cost > shape.most) return best
  let held = cell.held
  for (const [at, amount] of cell.expiries()) {
    if (at - now >= best) break
    held -= amount
    best = Math.min(best, Math.max(at - now, Algorithms.wait(shape, state, cost, held, now)))
  }
  return best
}
