/** Runs calls, or leaves them out, by how many of their criticality the dependency accepted of late. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import { acceptanceOutcome, type AnyFiber, type Classify } from "./outcome.ts"
import { rejectProbability, Tally } from "./shedder.ts"

export type Criticality = "CriticalPlus" | "Critical" | "SheddablePlus" | "Sheddable"

export const byCriticality = <A>(one: (criticality: Criticality) => A): { readonly [C in Criticality]: A } => ({
  CriticalPlus: one("CriticalPlus"),
  Critical: one("Critical"),
  SheddablePlus: one("SheddablePlus"),
  Sheddable: one("Sheddable")
})

const policy = "shedder"

export const shedding = <Shed>(options: {
  readonly name: string
  readonly windowMillis: number
  readonly minimumCalls: number
  readonly multipliers: { readonly [C in Criticality]: number }
  readonly classify: Classify | undefined
  readonly shed: (criticality: Criticality, probability: number) => Shed
}) => {
  const { classify, minimumCalls, multipliers, name, shed, windowMillis } = options
  const tallies = byCriticality(() => new Tally(windowMillis))
  let inFlight = 0

  const probabilityOf = (criticality: Criticality, now: number): number => {
    const tally = tallies[criticality]
    tally.advance(now)
    const { accepts, requests } = tally
    return requests < minimumCalls ? 0 : rejectProbability(multipliers[criticality], requests, accepts)
  }

  const tell = (fiber: AnyFiber, admitted: boolean): void => {
    if (!Signal.isHeardUnsafe(fiber)) return
    Signal.emitUnsafe(fiber, {
      _tag: "ConcurrencyDecided",
      name,
      policy,
      decision: admitted ? "admitted" : "rejected",
      reason: admitted ? undefined : "Shed",
      waited: Duration.zero,
      limit: Infinity,
      inFlight,
      queued: 0
    })
  }

  const leave = (fiber: AnyFiber, criticality: Criticality, exit: Exit.Exit<unknown, unknown>): void => {
    inFlight--
    try {
      const outcome = classify === undefined ? acceptanceOutcome(fiber, exit) : classify(exit)
      if (outcome !== "ignored") tallies[criticality].count(monotonicMillis(fiber), outcome === "answered")
    } finally {
      if (Signal.isHeardUnsafe(fiber)) {
        const limit = Infinity
        Signal.emitUnsafe(fiber, { _tag: "ConcurrencyReleased", name, policy, limit, inFlight, queued: 0 })
      }
    }
  }

  const run = <A, E, R>(
    self: Effect.Effect<A, E, R>,
    criticalityOf: (fiber: AnyFiber) => Criticality
  ): Effect.Effect<A, E | Shed, R> =>
    Effect.withFiber((fiber) => {
      const criticality = criticalityOf(fiber)
      let admitted = false
      return Effect.onExitPrimitive(
        Effect.suspend((): Effect.Effect<A, E | Shed, R> => {
          const now = monotonicMillis(fiber)
          const probability = probabilityOf(criticality, now)
          admitted = probability === 0 || fiber.getRef(Random.Random).nextDoubleUnsafe() >= probability
          if (admitted) inFlight++
          else tallies[criticality].count(now, false)
          tell(fiber, admitted)
          return admitted ? self : Effect.fail(shed(criticality, probability))
        }),
        (exit) => {
          if (admitted) leave(fiber, criticality, exit)
          return undefined
        }
      )
    })

  const state = Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    return Effect.succeed(byCriticality((criticality) => {
      const probability = probabilityOf(criticality, now)
      const { accepts, requests } = tallies[criticality]
      return { requests, accepts, probability }
    }))
  })

  return { run, state }
}
