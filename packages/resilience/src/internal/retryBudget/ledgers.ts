/** The state of a budget and the accounts that calls have on it, for each rule. The sums are done by pure functions. */
import type * as Fiber from "effect/Fiber"
import type { Account } from "../../RetryBudget.ts"
import { monotonicMillis } from "../monotonic.ts"
import * as InFlight from "./inFlight.ts"
import * as Ratio from "./ratio.ts"
import * as Tokens from "./tokens.ts"

export interface Ledger {
  /** Retries that could be taken now. */
  readonly available: (fiber: Fiber.Fiber<unknown, unknown>) => number
  /** Registers a call. */
  readonly open: (fiber: Fiber.Fiber<unknown, unknown>) => Account
}

export const ratio = (options: Ratio.Options): Ledger => {
  let state = Ratio.initial
  const slot = (fiber: Fiber.Fiber<unknown, unknown>) => Ratio.slotAt(options, monotonicMillis(fiber))
  return {
    available: (fiber) => Math.floor(Ratio.available(options, state, slot(fiber))),
    open: (fiber) => {
      state = Ratio.call(state, slot(fiber))
      let waitingSince: number | undefined
      return {
        reserveUnsafe: () => {
          const now = slot(fiber)
          const next = Ratio.reserve(options, state, now)
          if (next === undefined) return false
          state = next
          waitingSince = now
          return true
        },
        startedUnsafe: () => {
          waitingSince = undefined
        },
        settleUnsafe: () => {
          if (waitingSince !== undefined) state = Ratio.cancel(state, waitingSince)
          waitingSince = undefined
        }
      }
    }
  }
}

export const tokens = (options: Tokens.Options): Ledger => {
  let left = options.capacity
  return {
    available: () => options.retryCost === 0 ? Infinity : Math.floor(left / options.retryCost),
    open: () => {
      let waiting = false
      let lastCost: number | undefined
      return {
        reserveUnsafe: (kind) => {
          const cost = kind === "Timeout" ? options.timeoutCost : options.retryCost
          const next = Tokens.reserve(left, cost)
          if (next === undefined) return false
          left = next
          lastCost = cost
          waiting = true
          return true
        },
        startedUnsafe: () => {
          waiting = false
        },
        settleUnsafe: (outcome) => {
          if (waiting) left = Tokens.giveBack(options, left, lastCost ?? 0)
          else if (outcome === "success") left = Tokens.giveBack(options, left, lastCost ?? options.refund)
          waiting = false
        }
      }
    }
  }
}

export const inFlight = (options: InFlight.Options): Ledger => {
  let state = InFlight.initial
  return {
    available: () => Math.floor(InFlight.available(options, state)),
    open: () => {
      state = InFlight.callStarted(state)
      let holds = false
      const release = () => {
        if (holds) state = InFlight.release(state)
        holds = false
      }
      return {
        reserveUnsafe: () => {
          // The retry before this one has just failed: its place is free.
          release()
          const next = InFlight.reserve(options, state)
          if (next === undefined) return false
          state = next
          holds = true
          return true
        },
        startedUnsafe: () => {},
        settleUnsafe: () => {
          release()
          state = InFlight.callEnded(state)
        }
      }
    }
  }
}

export const unlimited: Ledger = {
  available: () => Infinity,
  open: () => ({ reserveUnsafe: () => true, startedUnsafe: () => {}, settleUnsafe: () => {} })
}
