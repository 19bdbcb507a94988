/** Completes failed turns without anybody asking. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { complete, type Turns } from "../agents/Turns.ts"
import { Breakers } from "../policies.ts"
import { FailedTurns } from "./FailedTurns.ts"
import { autoRedrivePace } from "./policy.ts"

/** Every so often, at a pace that leaves the providers to those who wait, while one of them takes calls. */
export const layer = (
  every: Duration.Duration | undefined
): Layer.Layer<never, never, FailedTurns | Turns | Breakers> =>
  every === undefined ? Layer.empty : Layer.unwrap(Effect.gen(function*() {
    const letters = yield* FailedTurns
    const breakers = yield* Breakers
    const models = Breakers.names.filter((name) => name.startsWith("llm-"))
    const takesCalls = Effect.map(
      // A store that cannot say is no reason to try; the next round asks again.
      Effect.forEach(models, (name) => Effect.orElseSucceed(breakers[name].state(), () => "Open" as const)),
      (states) => states.some((state) => state !== "Open" && state !== "ForcedOpen")
    )
    return letters.autoRedrive({
      schedule: Schedule.spaced(every),
      when: takesCalls,
      handler: complete,
      ...autoRedrivePace
    })
  }))
