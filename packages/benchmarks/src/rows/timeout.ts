/** Time limits on what is done in time. */
import { timeout, TimeoutStrategy } from "cockatiel"
import * as Deadline from "effect-resilience/Deadline"
import * as Effect from "effect/Effect"
import type { Comparison } from "../harness/compare.ts"
import { plainEffects, promises, succeeds } from "../harness/contender.ts"

const call = Effect.sync(() => 1)

/** What a reader must know about the figures. */
export const notes =
  `\`Deadline.within\` races the call against the clock as \`Effect.timeout\` does. Besides, it reads the monotonic clock and provides the
deadline to everything below, so that retries stop in time and outgoing requests can carry it: two more steps of Effect's runtime, which are
what lies between the two.`

/** Time limits. */
export const comparisons: ReadonlyArray<Comparison> = [{
  title: "Time limit on a call that is done in time",
  call: "A call that succeeds at once, with ten seconds to do it in.",
  contenders: [
    plainEffects("Deadline.within", Effect.orDie(Deadline.within(call, "10 seconds"))),
    plainEffects("Effect.timeout", Effect.orDie(Effect.timeout(call, "10 seconds"))),
    promises("cockatiel timeout", () => {
      const policy = timeout(10_000, TimeoutStrategy.Cooperative)
      return () => policy.execute(succeeds)
    })
  ],
  targets: [{ against: "Effect.timeout", atMost: 1.5 }]
}]
