/**
 * The token budget as a pure machine: a retry costs tokens, a success brings some back.
 *
 * It is the quota of the AWS SDKs' standard retry mode: a call that succeeds after retries returns what its last retry
 * cost, one that succeeds at once returns `refund`.
 */

export interface Options {
  readonly capacity: number
  readonly retryCost: number
  readonly timeoutCost: number
  readonly refund: number
}

/** Takes `cost` tokens, or says `undefined`: there are not as many left. */
export const reserve = (tokens: number, cost: number): number | undefined => tokens >= cost ? tokens - cost : undefined

/** Brings tokens back, never beyond the capacity. */
export const giveBack = (options: Options, tokens: number, amount: number): number =>
  Math.min(options.capacity, tokens + amount)
