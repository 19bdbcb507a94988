/** A circuit breaker on calls that succeed, and on calls that it refuses. */
import { circuitBreaker, ConsecutiveBreaker, CountBreaker, handleAll } from "cockatiel"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CoreCircuitBreaker from "effect/persistence/CircuitBreaker"
import OpossumCircuitBreaker from "opossum"
import type { Comparison } from "../harness/compare.ts"
import { type Contender, effects, promises, succeeds } from "../harness/contender.ts"

const call = Effect.sync(() => 1)
const failing = Effect.fail("down")

/** One of ours, with its store. */
const ours = (
  name: string,
  options: Omit<CircuitBreaker.Options, "name">,
  makeCall: (breaker: CircuitBreaker.Breaker) => Effect.Effect<Effect.Effect<unknown, unknown>>
): Contender =>
  effects(
    name,
    Layer.provide(CircuitBreaker.layer({ name: "bench", ...options }), CircuitBreaker.layerStoreMemory),
    Effect.flatMap(CircuitBreaker.CircuitBreaker, makeCall)
  )

const core = (
  name: string,
  makeCall: (breaker: CoreCircuitBreaker.CircuitBreaker) => Effect.Effect<Effect.Effect<unknown, unknown>>
): Contender =>
  effects(
    name,
    Layer.provide(
      CoreCircuitBreaker.layer({ tripPolicy: CoreCircuitBreaker.consecutive(5), openDuration: "1 hour" }),
      CoreCircuitBreaker.layerStoreMemory()
    ),
    Effect.flatMap(CoreCircuitBreaker.CircuitBreaker, makeCall)
  )

const repeatedly = (times: number, effect: Effect.Effect<unknown, unknown>) =>
  Effect.replicateEffect(Effect.ignore(effect), times, { discard: true })

const opossumOptions = { timeout: false, resetTimeout: 3_600_000, rollingCountBuckets: 10 } as const

const fails = async (): Promise<number> => {
  throw new Error("down")
}

const windowOf = (size: number): Contender =>
  ours(
    `window of ${size} calls`,
    { trip: CircuitBreaker.failureRate({ window: CircuitBreaker.calls(size) }) },
    (breaker) => Effect.as(repeatedly(Math.min(size, 100_000), breaker.protect(call)), breaker.protect(call))
  )

/** Breakers. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "A call through a closed circuit",
    call: "A call that succeeds; all breakers trip after five failures in a row.",
    contenders: [
      ours(
        "CircuitBreaker.protect",
        { trip: CircuitBreaker.consecutive(5) },
        (breaker) => Effect.succeed(breaker.protect(call))
      ),
      promises("cockatiel", () => {
        const policy = circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker: new ConsecutiveBreaker(5) })
        return () => policy.execute(succeeds)
      }),
      promises("opossum", () => {
        const breaker = new OpossumCircuitBreaker(succeeds, opossumOptions)
        return () => breaker.fire()
      }),
      core("Effect core", (breaker) => Effect.succeed(breaker.execute(call, { key: "bench" })))
    ],
    targets: [
      { against: "cockatiel", atMost: 1.5 },
      { against: "opossum", atMost: 1 },
      { against: "Effect core", atMost: 0.08 }
    ]
  },
  {
    title: "A call that an open circuit refuses",
    call: "With its typed error, made and caught as programs of each kind do it.",
    contenders: [
      ours(
        "CircuitBreaker.protect",
        { trip: CircuitBreaker.consecutive(5), openFor: "1 hour" },
        (breaker) => Effect.as(repeatedly(5, breaker.protect(failing)), Effect.ignore(breaker.protect(call)))
      ),
      promises("cockatiel", () => {
        const policy = circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker: new ConsecutiveBreaker(1) })
        void policy.execute(fails).catch(() => undefined)
        return () => policy.execute(succeeds).catch(() => undefined)
      }),
      promises("opossum", () => {
        const breaker = new OpossumCircuitBreaker(fails, { ...opossumOptions, errorThresholdPercentage: 1 })
        breaker.open()
        return () => breaker.fire().catch(() => undefined)
      }),
      core(
        "Effect core",
        (breaker) =>
          Effect.as(
            repeatedly(5, breaker.execute(failing, { key: "bench" })),
            Effect.ignore(breaker.execute(call, { key: "bench" }))
          )
      )
    ],
    targets: [
      { against: "cockatiel", atMost: 0.1 },
      { against: "Effect core", atMost: 0.03 }
    ]
  },
  {
    title: "A window of 100,000 calls beside one of 100",
    call: "A call that succeeds, under a failure rate over the last calls, with the window full.",
    contenders: [
      windowOf(100_000),
      windowOf(100),
      promises("cockatiel, 100 calls", () => {
        const policy = circuitBreaker(handleAll, {
          halfOpenAfter: 3_600_000,
          breaker: new CountBreaker({ threshold: 0.5, size: 100 })
        })
        return () => policy.execute(succeeds)
      })
    ],
    targets: [{ against: "window of 100 calls", atMost: 1.1 }]
  }
]
