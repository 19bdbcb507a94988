/** How a call ended, in three words. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"

export type Outcome = "success" | "failure" | "interrupted"

/** Interruption is no failure, and no success either. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  exit._tag === "Success" ? "success" : Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failure"
