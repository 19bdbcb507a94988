/** What a chain has spent, and what that leaves it to do, as pure functions. */
import { costOf, type Price, type Usage } from "./order.ts"

/**
 * How far a budget is spent.
 *
 * - `Normal`, `Warned`: all routes
 * - `Cheaper`: the cheapest ones only
 * - `Denied`: those that cost nothing
 */
export type Level = "Normal" | "Warned" | "Cheaper" | "Denied"

export interface Budget {
  readonly limit: number
  readonly warnAt: number
  readonly denyAt: number
  readonly windowMillis: number
}

/** What one route was used for. */
export interface Line {
  readonly charges: number
  readonly input: number
  readonly output: number
  readonly cost: number
  /** Units that have no price. */
  readonly unpriced: number
}

const blank: Line = { charges: 0, input: 0, output: 0, cost: 0, unpriced: 0 }

export class Ledger {
  readonly lines: Array<Line>
  /** Another one counts what has been spent in the running window. */
  budget: Budget | undefined
  private windowStart: number | undefined
  private spentInWindow = 0

  constructor(routes: number, budget: Budget | undefined) {
    this.lines = Array.from({ length: routes }, () => blank)
    this.budget = budget
  }

  /** What was spent in the window that `now` is in. */
  spent(now: number): number {
    return this.isOver(now) ? 0 : this.spentInWindow
  }

  level(now: number): Level {
    if (this.budget === undefined) return "Normal"
    const { denyAt, limit, warnAt } = this.budget
    const spent = this.spent(now)
    if (spent >= limit * denyAt) return "Denied"
    if (spent >= limit) return "Cheaper"
    return spent >= limit * warnAt ? "Warned" : "Normal"
  }

  charge(route: number, price: Price | undefined, usage: Usage, now: number): void {
    const line = this.lines[route] ?? blank
    const cost = price === undefined ? 0 : costOf(price, usage)
    this.lines[route] = {
      charges: line.charges + 1,
      input: line.input + usage.input,
      output: line.output + usage.output,
      cost: line.cost + cost,
      unpriced: line.unpriced + (price === undefined ? usage.input + usage.output : 0)
    }
    if (this.windowStart === undefined || this.isOver(now)) {
      this.windowStart = now
      this.spentInWindow = 0
    }
    this.spentInWindow += cost
  }

  /** A window begins with the first charge after the one before it. */
  private isOver(now: number): boolean {
    return this.budget !== undefined && this.windowStart !== undefined
      && now - this.windowStart >= this.budget.windowMillis
  }
}
