/** A call that succeeds at once, with everything around it. */
import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  timeout,
  TimeoutStrategy,
  wrap
} from "cockatiel"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Retry from "effect-resilience/Retry"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Comparison } from "../harness/compare.ts"
import { effects, plainEffects, promises, succeeds } from "../harness/contender.ts"

const call: Effect.Effect<number> = Effect.sync(() => 1)

const backoff = Retry.backoff({ base: "100 millis", times: 2 })

const stores = Layer.mergeAll(
  CircuitBreaker.layerStoreMemory,
  Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory()),
  Layer.effect(Scope.Scope, Effect.scope)
)

const breaker = { trip: CircuitBreaker.consecutive(5) }

const limit = RateLimiter.tokenBucket({ limit: 1e9, window: "1 second" })

const everything = Policy.make({
  name: "everything",
  deadline: { total: "10 seconds", call: "9 seconds", attempt: "3 seconds" },
  limit,
  breaker,
  bulkhead: { limit: 10 },
  retry: backoff,
  hedge: { delay: "1 second" }
})

/** What cockatiel and Effect have of it, in the same order. */
const common = Policy.make({
  name: "common",
  deadline: { total: "10 seconds", call: "1 hour" },
  breaker,
  bulkhead: { limit: 10 },
  retry: backoff
})

const semaphore = Semaphore.makeUnsafe(10)
const schedule = Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 }))

/** What a reader must know about the figures. */
export const notes =
  `All policies: a deadline of the whole, of the call and of the attempt, a limit, a breaker, a bulkhead, retries and a hedge. A time limit
and a hedge each run what is inside of them in a fiber of its own, so that it can be cut alone; those fibers are most of what a
pipeline costs. Effect has no breaker in this comparison: its own costs several times all of the others together.`

/** Pipelines. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "All policies",
    call: "A call that succeeds at once. No peer has all of them.",
    contenders: [
      effects("Policy, all of them", stores, Effect.map(everything, (policy) => policy.run(call))),
      plainEffects("the call alone", call)
    ],
    targets: []
  },
  {
    title: "What all have",
    call: "A call that succeeds at once, with a time limit, a breaker, a bulkhead and retries.",
    contenders: [
      effects("Policy", stores, Effect.map(common, (policy) => policy.run(call))),
      plainEffects(
        "Effect: timeout, semaphore, retry",
        call.pipe(Effect.retry(schedule), semaphore.withPermit, Effect.timeout("10 seconds"), Effect.orDie)
      ),
      promises("cockatiel wrap", () => {
        const policy = wrap(
          timeout(10_000, TimeoutStrategy.Cooperative),
          circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(5) }),
          bulkhead(10),
          retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() })
        )
        return () => policy.execute(succeeds)
      })
    ],
    targets: [{ against: "cockatiel wrap", atMost: 1 }]
  }
]
