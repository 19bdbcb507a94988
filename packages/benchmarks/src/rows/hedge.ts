/** A hedge whose primary answers before a hedge would start, which is nearly every call. */
import * as Hedge from "effect-resilience/Hedge"
import * as Effect from "effect/Effect"
import type { Comparison } from "../harness/compare.ts"
import { effects, plainEffects } from "../harness/contender.ts"

const call = Effect.sync(() => 1)

const fixed = Hedge.layer({ name: "bench", delay: "1 second" })
const adaptive = Hedge.layer({ name: "bench", delay: Hedge.quantile(0.95) })

const hedged = Effect.map(Hedge.Hedge, (hedge) => hedge.run(call))

/** What a reader must know about the figures. */
export const notes =
  `With a quantile for its delay a hedge reads the clock twice and keeps each latency in a window; both are what the peer does not do, and
what the ratio of the second table is made of.`

/** Hedges. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "A hedged call whose primary answers at once",
    call: "A call that succeeds, with a hedge after a second.",
    contenders: [
      effects("Hedge.run", fixed, hedged),
      plainEffects("Effect.raceFirst with a delayed call", Effect.raceFirst(call, Effect.delay(call, "1 second"))),
      plainEffects("Effect.timeout", Effect.orDie(Effect.timeout(call, "1 second")))
    ],
    targets: [{ against: "Effect.raceFirst with a delayed call", atMost: 1.5 }]
  },
  {
    title: "A hedged call, the delay being a quantile of the latencies seen",
    call: "A call that succeeds, with a hedge after the 95th percentile.",
    contenders: [
      effects("Hedge.run, quantile", adaptive, hedged),
      plainEffects("Effect.raceFirst with a delayed call", Effect.raceFirst(call, Effect.delay(call, "1 second")))
    ],
    targets: [{ against: "Effect.raceFirst with a delayed call", atMost: 1.5 }]
  }
]
