/** What may happen to a letter, and what becomes of it. No Effect, no clock: the same function for every store. */
import * as Result from "effect/Result"
import type * as Failure from "../../Failure.ts"
import { type Attempts, type Budget, type HistoryEntry, type Letter, type Reason, remember } from "./letter.ts"

export interface Limits extends Attempts {}

export type Event =
  | {
    readonly _tag: "Claim"
    readonly owner: string
    readonly leaseMillis: number
    readonly selection?: string | undefined
  }
  | { readonly _tag: "Renew"; readonly fence: number; readonly leaseMillis: number }
  | { readonly _tag: "Succeed"; readonly fence: number }
  | { readonly _tag: "Fail"; readonly fence: number; readonly failure: Failure.Info }
  | { readonly _tag: "Interrupt"; readonly fence: number }
  /** The worker could not start: nobody saw the payload, nothing is charged. */
  | { readonly _tag: "GiveBack"; readonly fence: number; readonly note: string }
  | { readonly _tag: "Undecodable"; readonly fence: number; readonly message: string }
  /** Gives up on a worker whose lease has ended. */
  | { readonly _tag: "Rescue" }
  | { readonly _tag: "OfferAgain"; readonly failure: Failure.Info }
  | { readonly _tag: "Edit"; readonly payloadVersion: number }
  | { readonly _tag: "Archive"; readonly reason: string }
  | { readonly _tag: "Discard"; readonly reason: string }
  /** Dead again with all its budgets. */
  | { readonly _tag: "Release"; readonly reason: string }

/** Why an event cannot happen. */
export type Refusal = "LeaseLost" | "Leased" | "WrongState"

/**
 * The letter after `event`, or why not. Every answer of a worker carries the fence of its claim; an answer of an older
 * claim changes nothing.
 */
export const step = (
  letter: Letter,
  event: Event,
  now: number,
  limits: Limits
): Result.Result<Letter, Refusal> => {
  switch (event._tag) {
    case "Claim":
      return claim(letter, event, now, limits)
    case "Renew":
      return answer(letter, event.fence, (lease) => ({
        ...letter,
        lease: { ...lease, expiresAt: Math.max(lease.expiresAt, now + event.leaseMillis) }
      }))
    case "Succeed":
      return answer(letter, event.fence, () => ({
        ...ended(letter, now, { event: "Succeeded" }),
        state: "Archived",
        reason: { _tag: "Redriven" },
        round: letter.round + 1,
        selection: answered(letter)
      }))
    case "Fail":
      return answer(letter, event.fence, () => ({
        ...charged(letter, "delivered", now, limits, { event: "Failed", failure: event.failure }),
        failure: event.failure,
        round: letter.round + 1,
        selection: answered(letter)
      }))
    case "Interrupt":
      return answer(letter, event.fence, () => charged(letter, "interrupted", now, limits, { event: "Interrupted" }))
    case "GiveBack":
      return answer(letter, event.fence, () => ({
        ...ended(letter, now, { event: "GivenBack", note: event.note }),
        state: "Dead"
      }))
    case "Undecodable":
      return answer(letter, event.fence, () => ({
        ...ended(letter, now, { event: "Quarantined", note: event.message }),
        state: "Quarantined",
        reason: { _tag: "Undecodable", message: event.message },
        selection: answered(letter)
      }))
    case "Rescue":
      return letter.state !== "Redriving"
        ? Result.fail("WrongState")
        : isLeased(letter, now)
        ? Result.fail("Leased")
        : Result.succeed(charged(letter, "crashed", now, limits, { event: "Crashed" }))
    case "OfferAgain":
      // What is left of a corrupt record is not written over.
      return isOpen(letter) && letter.reason?._tag !== "CorruptRecord"
        ? Result.succeed({
          ...letter,
          ...remember(letter, { at: now, event: "OfferedAgain", failure: event.failure }),
          changedAt: letter.changedAt,
          occurrences: letter.occurrences + 1
        })
        : Result.fail("WrongState")
    case "Edit":
      return quiet(letter, now, () => ({
        ...changed(letter, now, { event: "Edited" }),
        payloadVersion: event.payloadVersion
      }))
    case "Archive":
      return quiet(letter, now, () => ({
        ...changed(letter, now, { event: "Archived", note: event.reason }),
        state: "Archived",
        reason: { _tag: "Told", message: event.reason }
      }))
    case "Discard":
      return quiet(letter, now, () => ({
        ...changed(letter, now, { event: "Discarded", note: event.reason }),
        state: "Discarded",
        reason: { _tag: "Told", message: event.reason }
      }))
    case "Release":
      return letter.state === "Redriving" ? Result.fail("Leased") : Result.succeed({
        ...changed(letter, now, { event: "Released", note: event.reason }),
        state: "Dead",
        reason: undefined,
        // While it was closed, the same work may have died again: the key is the later letter's.
        dedupeKey: isOpen(letter) ? letter.dedupeKey : undefined,
        attempts: { delivered: 0, interrupted: 0, crashed: 0 },
        round: letter.round + 1,
        selection: undefined
      })
  }
}

/** Whether a worker may be at it. */
export const isLeased = (letter: Letter, now: number): boolean =>
  letter.state === "Redriving" && letter.lease !== undefined && letter.lease.expiresAt > now

/** Whether it still waits for something to happen: what a second offer of the same work is merged into. */
export const isOpen = (letter: Letter): boolean => letter.state !== "Archived" && letter.state !== "Discarded"

const claim = (
  letter: Letter,
  event: Event & { readonly _tag: "Claim" },
  now: number,
  limits: Limits
): Result.Result<Letter, Refusal> => {
  switch (letter.state) {
    case "Redriving": {
      if (isLeased(letter, now)) return Result.fail("Leased")
      const rescued = charged(letter, "crashed", now, limits, { event: "Crashed" })
      // Its crashes used up what it had: this claim finds it quarantined, and writes that down.
      return rescued.state === "Dead" ? claim(rescued, event, now, limits) : Result.succeed(rescued)
    }
    case "Quarantined":
      if (letter.reason?._tag !== "Undecodable") return Result.fail("WrongState")
      break
    case "Archived":
    case "Discarded":
      return Result.fail("WrongState")
    case "Dead":
  }
  const fence = letter.claims + 1
  return Result.succeed({
    ...letter,
    ...remember(letter, { at: now, event: "Claimed", attempt: fence, note: event.owner }),
    changedAt: now,
    state: "Redriving",
    reason: undefined,
    claims: fence,
    lease: { owner: event.owner, fence, expiresAt: now + event.leaseMillis },
    selection: event.selection === undefined ? undefined : { id: event.selection, answered: false }
  })
}

/** Only the claim that holds the letter may answer, however late: a lease that ended and that nobody took still counts. */
const answer = (
  letter: Letter,
  fence: number,
  f: (lease: NonNullable<Letter["lease"]>) => Letter
): Result.Result<Letter, Refusal> =>
  letter.state === "Redriving" && letter.lease?.fence === fence
    ? Result.succeed(f(letter.lease))
    : Result.fail("LeaseLost")

/** What an operator does, which never takes a letter from a worker. */
const quiet = (letter: Letter, now: number, f: () => Letter): Result.Result<Letter, Refusal> => {
  if (isLeased(letter, now)) return Result.fail("Leased")
  if (letter.state === "Redriving" || !isOpen(letter)) return Result.fail("WrongState")
  return Result.succeed(f())
}

const changed = (letter: Letter, now: number, entry: Omit<HistoryEntry, "at">): Letter => ({
  ...letter,
  ...remember(letter, { at: now, ...entry }),
  changedAt: now
})

/** After a claim: the lease is gone, and the line in the history says which claim it was. */
const ended = (letter: Letter, now: number, entry: Omit<HistoryEntry, "at">): Letter => ({
  ...changed(letter, now, { ...entry, attempt: letter.claims }),
  lease: undefined,
  reason: undefined
})

const charged = (
  letter: Letter,
  budget: Budget,
  now: number,
  limits: Limits,
  entry: Omit<HistoryEntry, "at">
): Letter => {
  const attempts = { ...letter.attempts, [budget]: letter.attempts[budget] + 1 }
  const after = { ...ended(letter, now, entry), attempts }
  if (attempts[budget] < limits[budget]) return { ...after, state: "Dead" }
  const reason: Reason = { _tag: "MaxRedrives", budget }
  return {
    ...after,
    ...remember(after, { at: now, event: "Quarantined", note: `${attempts[budget]} ${budget} redrives` }),
    state: "Quarantined",
    reason
  }
}

const answered = (letter: Letter): Letter["selection"] =>
  letter.selection === undefined ? undefined : { id: letter.selection.id, answered: true }
