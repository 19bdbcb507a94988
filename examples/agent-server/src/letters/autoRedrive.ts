/** Completes failed turns without anybody asking. */
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { complete, type Turns } from "../agents/Turns.ts"
import { Policies } from "../policies.ts"
import { FailedTurns } from "./FailedTurns.ts"

/**
 * As often as the policies say, at a pace that leaves the providers to those who wait, while one of the models takes calls. When
 * they say something else, a redrive that is under way is given up; its letter is as it was.
 */
export const layer: Layer.Layer<never, never, FailedTurns | Turns | Policies> = Layer.effectDiscard(
  Effect.gen(function*() {
    const letters = yield* FailedTurns
    const { breakers, changes } = yield* Policies
    const takesCalls = Effect.flatMap(breakers, (all) =>
      Effect.map(
        Effect.forEach(all.filter(({ name }) => name.startsWith("llm-")), stateOf),
        (states) => states.some((state) => state !== "Open" && state !== "ForcedOpen")
      ))
    yield* changes.pipe(
      Stream.map((values) => values.letters.autoRedrive),
      Stream.changesWith((one, other) => Equal.equals({ ...one }, { ...other })),
      Stream.switchMap(({ every, ...pace }) =>
        every === undefined ? Stream.never : Stream.fromEffect(Layer.launch(
          letters.autoRedrive({ schedule: Schedule.spaced(every), when: takesCalls, handler: complete, ...pace })
        ))
      ),
      Stream.runDrain,
      Effect.forkScoped
    )
  })
)

/** A store that cannot say is no reason to try; the next round asks again. */
const stateOf = (breaker: CircuitBreaker.Breaker) => Effect.orElseSucceed(breaker.state(), () => "Open" as const)
