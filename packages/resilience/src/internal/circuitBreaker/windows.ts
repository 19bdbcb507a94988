/**
 * What a closed circuit remembers of its calls, and whether that is reason enough to open.
 *
 * Each window costs the same however long it is: a ring of outcomes, or a ring of counts for parts of the time.
 */
import { type Rate, type Rule, rulesOf, type TimeWindow, type Trip } from "./trip.ts"

/** Reads the time, in monotonic milliseconds. Asked only by windows of time. */
export type Now = () => number

/** What one rule has counted. */
export interface Tally {
  readonly rule: Rule["_tag"]
  readonly calls: number
  readonly bad: number
}

export interface Window {
  /** Counts a call that has ended, and says whether the circuit must open. */
  readonly record: (failed: boolean, millis: number, now: Now) => boolean
  /** Whether it remembers a bad call. */
  readonly isUnhealthy: (now: Now) => boolean
  readonly clear: () => void
  readonly tallies: (now: Now) => ReadonlyArray<Tally>
}

/** A window for a trip policy. What `previous` remembers is taken over, as far as a rule of the same kind asks for it. */
export const make = (trip: Trip, previous?: Window, now?: Now): Window => {
  const windows = rulesOf(trip).map(single)
  if (previous !== undefined) {
    const left = previous instanceof Any ? [...previous.windows] : [previous as Single]
    for (const window of windows) {
      const at = left.findIndex((other) => other.rule._tag === window.rule._tag)
      if (at !== -1) window.takeOver(left.splice(at, 1)[0]!, now ?? (() => 0))
    }
  }
  return windows.length === 1 ? windows[0]! : new Any(windows)
}

interface Single extends Window {
  readonly rule: Rule
  readonly takeOver: (previous: Single, now: Now) => void
}

const single = (rule: Rule): Single =>
  rule._tag === "Consecutive"
    ? new Streak(rule)
    : rule.window._tag === "Calls"
    ? new LastCalls(rule, rule.window.calls)
    : new LastMillis(rule, rule.window)

class Streak implements Single {
  readonly rule: Rule & { readonly _tag: "Consecutive" }
  private streak = 0

  constructor(rule: Rule & { readonly _tag: "Consecutive" }) {
    this.rule = rule
  }
  record(failed: boolean): boolean {
    if (!failed) {
      this.streak = 0
      return false
    }
    return ++this.streak >= this.rule.failures
  }
  isUnhealthy(): boolean {
    return this.streak > 0
  }
  clear(): void {
    this.streak = 0
  }
  tallies(): ReadonlyArray<Tally> {
    return [{ rule: this.rule._tag, calls: this.streak, bad: this.streak }]
  }
  takeOver(previous: Single): void {
    if (previous instanceof Streak) this.streak = previous.streak
  }
}

const isBad = (rule: Rate, failed: boolean, millis: number): boolean =>
  rule.slowerThan === undefined ? failed : millis > rule.slowerThan

/** A division, not a product: 7 of 10 is exactly 0.7, but 0.7 * 10 is more than 7. */
const reaches = (rule: Rate, calls: number, bad: number): boolean =>
  bad > 0 && calls >= rule.minimumCalls && bad / calls >= rule.threshold

class LastCalls implements Single {
  readonly rule: Rate
  private readonly size: number
  private calls = 0
  private bad = 0
  /** One byte a call, the oldest at `next` once it is full. Made for the first bad call: until then all are good. */
  private ring: Uint8Array | undefined
  private next = 0

  constructor(rule: Rate, size: number) {
    this.rule = rule
    this.size = size
  }
  record(failed: boolean, millis: number): boolean {
    const bad = isBad(this.rule, failed, millis)
    if (this.ring === undefined) {
      if (!bad) {
        if (this.calls < this.size) this.calls++
        return false
      }
      this.ring = new Uint8Array(this.size)
      this.next = this.calls % this.size
    }
    if (this.calls === this.size) this.bad -= this.ring[this.next]!
    else this.calls++
    if (bad) this.bad++
    this.ring[this.next] = bad ? 1 : 0
    this.next = this.next + 1 === this.size ? 0 : this.next + 1
    return reaches(this.rule, this.calls, this.bad)
  }
  isUnhealthy(): boolean {
    return this.bad > 0
  }
  clear(): void {
    this.calls = 0
    this.bad = 0
    this.ring = undefined
    this.next = 0
  }
  tallies(): ReadonlyArray<Tally> {
    return [{ rule: this.rule._tag, calls: this.calls, bad: this.bad }]
  }
  takeOver(previous: Single): void {
    if (previous instanceof LastCalls) {
      for (const bad of previous.oldestFirst()) this.record(bad, bad ? Infinity : 0)
    }
  }
  private *oldestFirst(): Iterable<boolean> {
    const first = this.calls === this.size ? this.next : 0
    for (let i = 0; i < this.calls; i++) yield this.ring?.[(first + i) % this.size] === 1
  }
}

class LastMillis implements Single {
  readonly rule: Rate
  private readonly bucketMillis: number
  private readonly buckets: number
  private calls = 0
  private bad = 0
  /** Calls of each part of the time, then the bad ones of each. The part of index `i` is at `i % buckets`. */
  private counts: Float64Array | undefined
  /** The index of the newest part. */
  private newest = 0

  constructor(rule: Rate, window: TimeWindow) {
    this.rule = rule
    this.buckets = window.buckets
    this.bucketMillis = window.millis / window.buckets
  }
  record(failed: boolean, millis: number, now: Now): boolean {
    const bad = isBad(this.rule, failed, millis)
    this.add(this.indexAt(now), 1, bad ? 1 : 0)
    return reaches(this.rule, this.calls, this.bad)
  }
  isUnhealthy(now: Now): boolean {
    if (this.bad > 0) this.advance(this.indexAt(now))
    return this.bad > 0
  }
  clear(): void {
    this.calls = 0
    this.bad = 0
    this.counts = undefined
  }
  tallies(now: Now): ReadonlyArray<Tally> {
    this.advance(this.indexAt(now))
    return [{ rule: this.rule._tag, calls: this.calls, bad: this.bad }]
  }
  takeOver(previous: Single, now: Now): void {
    if (!(previous instanceof LastMillis)) return
    const counts = previous.advance(previous.indexAt(now))
    const { bucketMillis, buckets, newest } = previous
    for (let index = newest - buckets + 1; index <= newest; index++) {
      const at = slot(index, buckets)
      // The end of the part: what one window counts as recent, the next does not count as older than it was.
      const moved = Math.floor((index + 1) * bucketMillis / this.bucketMillis - 1e-9)
      if (counts[at]! > 0 && moved > this.indexAt(now) - this.buckets) {
        this.add(Math.min(moved, this.indexAt(now)), counts[at]!, counts[buckets + at]!)
      }
    }
  }

  private indexAt(now: Now): number {
    return Math.floor(now() / this.bucketMillis)
  }
  private add(index: number, calls: number, bad: number): void {
    const counts = this.advance(index)
    const at = slot(this.newest, this.buckets)
    counts[at]! += calls
    counts[this.buckets + at]! += bad
    this.calls += calls
    this.bad += bad
  }
  /** Forgets the parts that have left the window. At most `buckets` steps, however long nothing happened. */
  private advance(index: number): Float64Array {
    if (this.counts === undefined) {
      this.counts = new Float64Array(2 * this.buckets)
      this.newest = index
    }
    const { counts } = this
    const steps = Math.min(index - this.newest, this.buckets)
    for (let step = 1; step <= steps; step++) {
      const at = slot(this.newest + step, this.buckets)
      this.calls -= counts[at]!
      this.bad -= counts[this.buckets + at]!
      counts[at] = 0
      counts[this.buckets + at] = 0
    }
    if (steps > 0) this.newest = index
    return counts
  }
}

/** Monotonic time may begin below zero. */
const slot = (index: number, buckets: number): number => ((index % buckets) + buckets) % buckets

class Any implements Window {
  readonly windows: ReadonlyArray<Single>

  constructor(windows: ReadonlyArray<Single>) {
    this.windows = windows
  }
  record(failed: boolean, millis: number, now: Now): boolean {
    let trips = false
    for (const window of this.windows) {
      if (window.record(failed, millis, now)) trips = true
    }
    return trips
  }
  isUnhealthy(now: Now): boolean {
    return this.windows.some((window) => window.isUnhealthy(now))
  }
  clear(): void {
    for (const window of this.windows) window.clear()
  }
  tallies(now: Now): ReadonlyArray<Tally> {
    return this.windows.flatMap((window) => window.tallies(now))
  }
}
