/** What several processes share. */
import * as RateLimiter from "effect-resilience/RateLimiter"

const { concurrency, fixedWindow, policy, slidingWindow, tokenBucket } = RateLimiter

/** Three rules over two scopes; 1,000 is what the tightest gives. */
export const race = [
  {
    policy: policy("race", [
      fixedWindow({ limit: 1_000, window: "1 hour" }),
      slidingWindow({ limit: 1_200, window: "1 hour" })
    ]),
    key: "shared"
  },
  { policy: policy("race-all", [tokenBucket({ limit: 1_500, window: "1000 days" })]), key: "" }
]

export const lease = { policy: policy("lease", [concurrency({ limit: 2, lease: "1 second" })]), key: "shared" }

export const budget = {
  policy: policy("budget", [fixedWindow({ limit: 100, window: "1 hour", unit: "tokens" })]),
  key: "shared"
}
