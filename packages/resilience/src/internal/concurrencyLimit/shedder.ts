/**
 * Client-side throttling as a pure machine: how many calls of late the dependency accepted, and with which probability
 * the next one is not even made.
 *
 * It is the adaptive throttling of Google's "Site Reliability Engineering", chapter 21: while accepts fall short of a share
 * of the requests, calls are refused at the client with probability `(requests - k * accepts) / (requests + 1)`. Calls that were
 * refused at the client are requests, too. Unlike there, a call counts when it has ended and not when it was made, so
 * that slow calls in flight do not look like refused ones.
 */

export const rejectProbability = (multiplier: number, requests: number, accepts: number): number =>
  Math.max(0, (requests - multiplier * accepts) / (requests + 1))

const slotsPerWindow = 10

/** Requests and accepts of a sliding window, in slots of a tenth of it. Counting costs the same however many there are. */
export class Tally {
  requests = 0
  accepts = 0
  private readonly slotMillis: number
  private readonly slots = Array.from({ length: slotsPerWindow }, () => ({ requests: 0, accepts: 0 }))
  private newest = -Infinity

  constructor(windowMillis: number) {
    this.slotMillis = windowMillis / slotsPerWindow
  }

  /** Forgets what is older than the window. */
  advance(now: number): void {
    const index = Math.floor(now / this.slotMillis)
    if (index <= this.newest) return
    const first = Math.max(this.newest + 1, index - slotsPerWindow + 1)
    for (let at = first; at <= index; at++) {
      const slot = this.slotAt(at)
      this.requests -= slot.requests
      this.accepts -= slot.accepts
      slot.requests = slot.accepts = 0
    }
    this.newest = index
  }

  count(now: number, accepted: boolean): void {
    this.advance(now)
    const slot = this.slotAt(this.newest)
    slot.requests++
    this.requests++
    if (!accepted) return
    slot.accepts++
    this.accepts++
  }

  private slotAt(index: number) {
    return this.slots[((index % slotsPerWindow) + slotsPerWindow) % slotsPerWindow]!
  }
}
