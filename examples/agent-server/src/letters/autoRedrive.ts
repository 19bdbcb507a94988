/** Completes failed turns without anybody asking. */
import * as Duration from "effect/Duration"
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
      // The store is in this process and does not fail.
      Effect.forEach(models, (name) => Effect.orDie(breakers[name].state())),
      (states) => states.some((state) => state !== "Open" && state !== "ForcedOpen")
    )
    return letters.autoRedrive({
      schedule: Schedule.spaced(every),
      when: takesCalls,
      handler: complete,
      ...autoRedrivePace
    })
  }))
