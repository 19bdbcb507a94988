/** Serves `/sim/faults`. */
import { says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Option from "effect/Option"
import { Simulator } from "../../sim/Simulator.ts"
import { Api } from "../Api.ts"
import { NotSimulated } from "../Problems.ts"

const notSimulated = new NotSimulated(
  says("The providers are real ones here. Unset OPENAI_BASE_URL and OPENAI_API_KEY to have simulated ones.")
)

/** The handlers. Without a simulator in the program there are no faults to speak of. */
export const layer = HttpApiBuilder.group(
  Api,
  "sim",
  Effect.fnUntraced(function*(handlers) {
    const simulator = yield* Effect.serviceOption(Simulator)
    if (Option.isNone(simulator)) {
      return handlers.handleAll({
        faults: () => Effect.fail(notSimulated),
        changeFaults: () => Effect.fail(notSimulated)
      })
    }
    return handlers.handleAll({
      faults: () => simulator.value.faults,
      changeFaults: ({ payload }) => simulator.value.change(payload)
    })
  })
)
