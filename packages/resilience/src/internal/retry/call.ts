/**
 * The one call that a policy serves, as far as its parts must know of each other.
 *
 * A `Schedule` sees failures. It does not see that a wait was interrupted or that an attempt succeeded, which a budget
 * must know to get back what was taken. So `Retry.retry` hands its schedule a `Call`, budgets open their accounts on
 * it, and `Retry.retry` tells it what happens.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Account, RetryBudget } from "../../RetryBudget.ts"

export class Call {
  /** Attempts that were started. */
  attempts = 0
  /** Most calls draw on no budget. */
  private accounts: Map<RetryBudget["Service"], Account> | undefined

  /** This call's account on a budget: one, however many parts of the policy draw on it. */
  accountOf(budget: RetryBudget["Service"], fiber: Fiber.Fiber<unknown, unknown>): Account {
    this.accounts ??= new Map()
    let account = this.accounts.get(budget)
    if (account === undefined) {
      account = budget.openUnsafe(fiber)
      this.accounts.set(budget, account)
    }
    return account
  }

  attemptStarted(): void {
    this.attempts++
    if (this.accounts === undefined) return
    for (const account of this.accounts.values()) account.startedUnsafe()
  }

  settled(outcome: "success" | "failure" | "interrupted"): void {
    if (this.accounts === undefined) return
    for (const account of this.accounts.values()) account.settleUnsafe(outcome)
  }
}

/** Set while `Retry.retry` starts its schedule, and for nothing else. */
export const CurrentCall = Context.Reference<Call | undefined>("effect-resilience/Retry/CurrentCall", {
  defaultValue: () => undefined
})
