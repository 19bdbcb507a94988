/** The algorithms behind one face. Every function but `advance` takes a state that was advanced to `now`. */
import * as FixedWindow from "./fixedWindow.ts"
import * as Meter from "./meter.ts"
import type { Shape } from "./shape.ts"
import * as SlidingWindow from "./slidingWindow.ts"
import type { State } from "./state.ts"

/** What the passing of time makes of a state. */
export const advance = (shape: Shape, state: State | undefined, now: number): State => {
  switch (shape.kind) {
    case "meter":
      return state === undefined ? [0, 0, now] : Meter.advance(shape, state, now)
    case "fixed":
      return state === undefined ? [FixedWindow.startOf(shape, now), 0] : FixedWindow.advance(shape, state, now)
    case "sliding":
      return state === undefined ? [] : SlidingWindow.advance(shape, state, now)
    case "leases":
      return []
  }
}

/**
 * Milliseconds until `cost` more can be had while `held` is held: 0 is now, `Infinity` is not before what is held is given back.
 */
export const wait = (shape: Shape, state: State, cost: number, held: number, now: number): number => {
  const amount = held + shape.weight * cost
  if (cost > shape.most || amount > shape.capacity + shape.overflow) return Infinity
  switch (shape.kind) {
    case "meter":
      return Meter.wait(shape, state, amount, now)
    case "fixed":
      return FixedWindow.wait(shape, state, amount, now)
    case "sliding":
      return SlidingWindow.wait(shape, state, amount, now)
    case "leases":
      return 0
  }
}

/** Milliseconds until what can be had now may be used. */
export const delay = (shape: Shape, state: State, cost: number, held: number, now: number): number => {
  if (shape.overflow === 0) return 0
  const amount = held + shape.weight * cost
  return shape.kind === "meter" ? Meter.delay(shape, state, amount, now) : FixedWindow.delay(shape, state, amount, now)
}

export const charge = (shape: Shape, state: State, amount: number, now: number): State => {
  if (amount === 0) return state
  switch (shape.kind) {
    case "meter":
      return Meter.charge(state, amount)
    case "fixed":
      return FixedWindow.charge(state, amount)
    case "sliding":
      return SlidingWindow.charge(shape, state, amount, now)
    case "leases":
      return state
  }
}

/** What of the limit is left, in units. Of a leaky bucket, what of the queue is left; below 0 it is overfull. */
export const remaining = (shape: Shape, state: State, held: number): number => {
  switch (shape.kind) {
    case "meter":
      return room(shape, shape.capacity + shape.overflow - Meter.used(state) - held)
    case "fixed":
      return Math.max(0, shape.capacity - FixedWindow.used(state) - held)
    case "sliding":
      return Math.max(0, shape.capacity - SlidingWindow.used(state) - held)
    case "leases":
      return Math.max(0, shape.capacity - held)
  }
}

/** A leaky bucket takes one more while nothing is missing, so for it 0 is told from less. */
const room = (shape: Shape, units: number): number => shape.weight === 0 ? units : Math.max(0, units)

/** Milliseconds until the state is as if nothing had been taken. */
export const reset = (shape: Shape, state: State, now: number): number => {
  switch (shape.kind) {
    case "meter":
      return Meter.reset(shape, state, now)
    case "fixed":
      return FixedWindow.reset(shape, state, now)
    case "sliding":
      return SlidingWindow.reset(shape, state, now)
    case "leases":
      return 0
  }
}

/** The answer to one request under one rule, for tests, models and stores that compute in this process. */
export interface Step {
  readonly state: State | undefined
  /** 0: taken. Else milliseconds until it could be, and `state` is what it was. `Infinity`: never. */
  readonly wait: number
  readonly delay: number
}

export const step = (shape: Shape, state: State | undefined, cost: number, now: number): Step => {
  const advanced = advance(shape, state, now)
  const millis = wait(shape, advanced, cost, 0, now)
  if (millis > 0) return { state, wait: millis, delay: 0 }
  return {
    state: charge(shape, advanced, cost, now),
    wait: 0,
    delay: delay(shape, advanced, cost, 0, now)
  }
}
