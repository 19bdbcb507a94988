/** A breaker that lets calls through, and one that does not. */
import { BrokenCircuitError, circuitBreaker, ConsecutiveBreaker, handleAll } from "cockatiel"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Core from "effect/persistence/CircuitBreaker"
import OpossumBreaker from "opossum"
import type { Comparison } from "../harness/compare.ts"
import { type Contender, effects, promises } from "../harness/contender.ts"

const call = Effect.sync(() => 1)
const failure = Effect.fail("down")

const ours = (
  name: string,
  options: Partial<CircuitBreaker.Options>,
  makeCall: (breaker: CircuitBreaker.Breaker) => Effect.Effect<Effect.Effect<unknown, unknown>>
): Contender =>
  effects(
    name,
    CircuitBreaker.layer({ name: "bench", trip: CircuitBreaker.consecutive(5), openFor: "1 hour", ...options }).pipe(
      Layer.provide(CircuitBreaker.layerStoreMemory)
    ),
    Effect.flatMap(CircuitBreaker.CircuitBreaker, makeCall)
  )

const core = (makeCall: (breaker: Core.CircuitBreaker) => Effect.Effect<Effect.Effect<unknown, unknown>>): Contender =>
  effects(
    "Effect CircuitBreaker",
    Core.layer({ tripPolicy: Core.consecutive(5), openDuration: "1 hour" }).pipe(
      Layer.provide(Core.layerStoreMemory())
    ),
    Effect.flatMap(Core.CircuitBreaker, makeCall)
  )

const cockatiel = () => circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker: new ConsecutiveBreaker(5) })

/** A window of `size` calls that has seen a failure, so that it has to remember each call. */
const window = (size: number): Contender =>
  ours(
    `a window of ${size} calls`,
    { trip: CircuitBreaker.failureRate({ window: CircuitBreaker.calls(size) }) },
    (breaker) => Effect.as(Effect.exit(breaker.protect(failure)), breaker.protect(call))
  )

/** Breakers. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "Closed circuit",
    call: "A call that succeeds, under a breaker that trips after 5 failures in a row.",
    contenders: [
      ours("CircuitBreaker.protect", {}, (breaker) => Effect.succeed(breaker.protect(call))),
      core((breaker) => Effect.succeed(breaker.execute(call, { key: "bench" }))),
      promises("cockatiel circuitBreaker", () => {
        const policy = cockatiel()
        return () => policy.execute(() => 1)
      }),
      promises("opossum", () => {
        const breaker = new OpossumBreaker(() => Promise.resolve(1), { timeout: false })
        return () => breaker.fire()
      })
    ],
    targets: [
      { against: "Effect CircuitBreaker", atMost: 0.08 },
      { against: "cockatiel circuitBreaker", atMost: 1.5 },
      { against: "opossum", atMost: 1 }
    ]
  },
  {
    title: "Open circuit",
    call: "A call that is rejected, and the rejection caught.",
    contenders: [
      ours(
        "CircuitBreaker.protect",
        { trip: CircuitBreaker.consecutive(1) },
        (breaker) => Effect.as(Effect.exit(breaker.protect(failure)), Effect.ignore(breaker.protect(call)))
      ),
      core((breaker) =>
        Effect.as(
          Effect.replicateEffect(Effect.exit(breaker.execute(failure, { key: "bench" })), 5),
          Effect.ignore(breaker.execute(call, { key: "bench" }))
        )
      ),
      promises("cockatiel circuitBreaker", () => {
        const policy = cockatiel()
        policy.isolate()
        return () =>
          policy.execute(() => 1).catch((error: unknown) => {
            if (!(error instanceof BrokenCircuitError)) throw error
          })
      }),
      promises("opossum", () => {
        const breaker = new OpossumBreaker(() => Promise.resolve(1), { timeout: false })
        breaker.open()
        return () => breaker.fire().catch(() => undefined)
      })
    ],
    targets: [
      { against: "Effect CircuitBreaker", atMost: 0.03 },
      { against: "cockatiel circuitBreaker", atMost: 0.1 }
    ]
  },
  {
    title: "Size of the window",
    call: "A call that succeeds, after one that failed.",
    contenders: [window(100_000), window(100)],
    targets: [{ against: "a window of 100 calls", atMost: 1.1 }]
  }
]
