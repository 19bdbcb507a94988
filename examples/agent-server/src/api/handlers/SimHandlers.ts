/** Serves `/sim/*`. */
import { says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Option from "effect/Option"
import * as Rec from "effect/Record"
import type * as Ledger from "../../sim/ledger.ts"
import { Simulator } from "../../sim/Simulator.ts"
import { Api } from "../Api.ts"
import { NotSimulated } from "../Problems.ts"

const notSimulated = new NotSimulated(
  says(
    "The providers are real ones here. Unset OPENAI_BASE_URL, OPENAI_API_KEY, ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY to have simulated ones."
  )
)

const bill = (page: Readonly<Ledger.Page>) => ({
  calls: page.calls,
  answered: page.answered,
  refused: page.refused,
  broken_off: page.brokenOff,
  prompt_tokens: page.promptTokens,
  completion_tokens: page.completionTokens,
  audio_ms: page.audioMillis,
  characters: page.characters
})

/** The handlers. Without a simulator in the program there are no faults to speak of. */
export const layer = HttpApiBuilder.group(
  Api,
  "sim",
  Effect.fnUntraced(function*(handlers) {
    const simulator = yield* Effect.serviceOption(Simulator)
    if (Option.isNone(simulator)) {
      return handlers.handleAll({
        faults: () => Effect.fail(notSimulated),
        changeFaults: () => Effect.fail(notSimulated),
        ledger: () => Effect.fail(notSimulated)
      })
    }
    return handlers.handleAll({
      faults: () => simulator.value.faults,
      changeFaults: ({ payload }) => simulator.value.change(payload),
      ledger: () => Effect.map(simulator.value.ledgers, Rec.map(bill))
    })
  })
)
