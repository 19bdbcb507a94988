/** Retries of what succeeds at once, which is nearly every call. */
import { ExponentialBackoff, handleAll, retry } from "cockatiel"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Comparison } from "../harness/compare.ts"
import { effects, plainEffects, promises, succeeds } from "../harness/contender.ts"

const call: Effect.Effect<number, string> = Effect.sync(() => 1)

const backoff = Retry.backoff({ base: "100 millis", times: 2 })

const nothing = Layer.succeedContext(Context.empty())

/** Retries. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "Retry of a call that succeeds",
    call: "A call that succeeds at once, under a policy of two retries with exponential back-off.",
    contenders: [
      effects("Retry.retry", nothing, Effect.succeed(Retry.retry(call, backoff))),
      effects(
        "Effect.retry",
        nothing,
        Effect.succeed(Effect.retry(call, Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 }))))
      ),
      promises("cockatiel retry", () => {
        const policy = retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() })
        return () => policy.execute(succeeds)
      })
    ],
    targets: [{ against: "Effect.retry", atMost: 1.5 }]
  },
  {
    title: "The standard policy, of a call that succeeds",
    call: "By kind, with a budget, within the deadline; what Effect has no combinator for.",
    contenders: [
      effects("Retry.standard", RetryBudget.layer(), Effect.succeed(Retry.retry(call, Retry.standard))),
      plainEffects("the call alone", Effect.orDie(call))
    ],
    targets: []
  }
]
