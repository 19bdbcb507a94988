/**
 * A dependency that serves so many calls at once and lets the others wait, and clients that call it through a limiter:
 * a simulation of discrete events in virtual milliseconds, without Effect.
 */
import type { AnyLimiter } from "../../src/internal/concurrencyLimit/algorithms.ts"

export interface Simulation {
  /** How many calls it serves at once, at a time. */
  readonly capacity: (at: number) => number
  /** How long it takes to serve a call on average, at a time. */
  readonly serviceMillis: (at: number) => number
  /** How many calls a second the clients would like to make, at a time. */
  readonly rate: (at: number) => number
  /** How much the time to serve varies: the sigma of a log-normal distribution. */
  readonly sigma?: number
  /** More than so many calls are refused, in a millisecond. */
  readonly refusesAbove?: (at: number) => number
  /** The share of calls that their clients cancel half-way. */
  readonly cancelled?: number
  readonly until: number
  readonly seed: number
}

interface Arrival {
  readonly at: number
  readonly kind: "arrival"
}

interface End {
  readonly at: number
  readonly kind: "end"
  readonly place: number
  readonly since: number
  readonly outcome: "answered" | "dropped" | "ignored"
}

/** Runs it. What it returns are the limits at the end of each second. */
export const simulate = (limiter: AnyLimiter, simulation: Simulation): ReadonlyArray<number> => {
  const random = randomFrom(simulation.seed)
  const events = new Heap<Arrival | End>()
  const limits: Array<number> = []
  /** When each of the dependency's workers is free; as many as its highest capacity so far. */
  const freeAt: Array<number> = []
  let inside = 0

  const serve = (now: number): number => {
    const workers = simulation.capacity(now)
    while (freeAt.length < workers) freeAt.push(0)
    let first = 0
    for (let worker = 1; worker < workers; worker++) {
      if (freeAt[worker]! < freeAt[first]!) first = worker
    }
    const sigma = simulation.sigma ?? 0
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const millis = simulation.serviceMillis(now) * Math.exp(sigma * normal - sigma * sigma / 2)
    freeAt[first] = Math.max(now, freeAt[first]!) + millis
    return freeAt[first]!
  }

  const arrive = (now: number): void => {
    events.push({ at: now - Math.log(1 - random()) * 1000 / simulation.rate(now), kind: "arrival" })
    const place = limiter.enter()
    if (place === 0) return
    const end = (at: number, outcome: End["outcome"]) => events.push({ at, kind: "end", place, since: now, outcome })
    if (inside >= (simulation.refusesAbove?.(now) ?? Infinity)) end(now + 1, "dropped")
    else if (random() < (simulation.cancelled ?? 0)) end(now + (serve(now) - now) / 2, "ignored")
    else end(serve(now), "answered")
    inside++
  }

  events.push({ at: 0, kind: "arrival" })
  for (let event = events.pop(); event !== undefined && event.at <= simulation.until; event = events.pop()) {
    while (event.at >= (limits.length + 1) * 1000) limits.push(limiter.limit)
    if (event.kind === "arrival") arrive(event.at)
    else {
      inside--
      limiter.leave(event.at, event.at - event.since, event.place, event.outcome)
    }
  }
  return limits
}

/** Mulberry32: small, and the same on every machine. */
const randomFrom = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The event that comes next, first. */
class Heap<E extends { readonly at: number }> {
  private readonly items: Array<E> = []

  push(item: E): void {
    let index = this.items.length
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.items[parent]!.at <= item.at) break
      this.items[index] = this.items[parent]!
      index = parent
    }
    this.items[index] = item
  }

  pop(): E | undefined {
    const first = this.items[0]
    const last = this.items.pop()
    if (first === undefined || last === undefined || this.items.length === 0) return first
    let index = 0
    for (let child = 1; child < this.items.length; child = 2 * index + 1) {
      if (child + 1 < this.items.length && this.items[child + 1]!.at < this.items[child]!.at) child++
      if (this.items[child]!.at >= last.at) break
      this.items[index] = this.items[child]!
      index = child
    }
    this.items[index] = last
    return first
  }
}
