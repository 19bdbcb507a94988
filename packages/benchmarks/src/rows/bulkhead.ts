/** A bulkhead with room. */
import { bulkhead } from "cockatiel"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Comparison } from "../harness/compare.ts"
import { effects, plainEffects, promises, succeeds } from "../harness/contender.ts"

const call = Effect.sync(() => 1)

const semaphore = Semaphore.makeUnsafe(10)

/** Bulkheads. */
export const comparisons: ReadonlyArray<Comparison> = [{
  title: "Bulkhead with room",
  call: "A call that succeeds, in a bulkhead of 10.",
  contenders: [
    effects(
      "Bulkhead.run",
      Bulkhead.layer({ name: "bench", limit: 10 }),
      Effect.map(Bulkhead.Bulkhead, (bulkhead) => bulkhead.run(call))
    ),
    plainEffects("Effect Semaphore.withPermit", semaphore.withPermit(call)),
    promises("cockatiel bulkhead", () => {
      const policy = bulkhead(10)
      return () => policy.execute(succeeds)
    })
  ],
  targets: [{ against: "Effect Semaphore.withPermit", atMost: 1.5 }]
}]
