/**
 * Denials of a remote store, remembered for a while: who hammers a limit does not hammer the store.
 *
 * Only what time alone can change is remembered: no leases, nothing that something held stands in the way of, and no blocks.
 * What another process gives back or resets is seen when the memory ends, which is why it has a limit.
 */
import type { Entry, Reply } from "./store.ts"

interface Denial {
  readonly reply: Reply
  readonly at: number
  readonly until: number
}

const capacity = 10_000

export class DenialCache {
  private readonly denials = new Map<string, Denial>()
  private readonly longest: number

  constructor(longest: number) {
    this.longest = longest
  }

  /** What the store answered to the same request, less the time that has passed; `undefined`: it has to be asked. */
  find(entries: ReadonlyArray<Entry>, now: number): Reply | undefined {
    if (this.denials.size === 0) return undefined
    const name = nameOf(entries)
    const denial = this.denials.get(name)
    if (denial === undefined) return undefined
    if (now >= denial.until) {
      this.denials.delete(name)
      return undefined
    }
    const passed = Math.floor(now - denial.at)
    return {
      ...denial.reply,
      outcomes: denial.reply.outcomes.map(({ delay, held, remaining, reset, wait }) => ({
        wait: Math.max(0, wait - passed),
        delay,
        remaining,
        reset: Math.max(0, reset - passed),
        held
      }))
    }
  }

  remember(entries: ReadonlyArray<Entry>, reply: Reply, now: number): void {
    if (reply.allowed || reply.blocked.some((millis) => millis > 0)) return
    let wait = 0
    for (let index = 0; index < entries.length; index++) {
      const outcome = reply.outcomes[index]!
      if (outcome.wait === 0 || entries[index]!.shadow) continue
      if (outcome.wait === Infinity || outcome.held > 0) return
      wait = Math.max(wait, outcome.wait)
    }
    const name = nameOf(entries)
    this.denials.delete(name)
    this.denials.set(name, { reply, at: now, until: now + Math.min(wait, this.longest) })
    if (this.denials.size > capacity) this.denials.delete(this.denials.keys().next().value!)
  }

  clear(): void {
    this.denials.clear()
  }
}

const nameOf = (entries: ReadonlyArray<Entry>): string =>
  entries.map(({ cost, key, table }) => `${table}${key.length}:${key}${cost}`).join(" ")
