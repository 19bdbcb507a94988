/** The errors of the rate limiter. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"
import { stackless } from "../stackless.ts"
import type { Denied } from "./decision.ts"

export const RateLimitedTypeId = "~effect-resilience/RateLimiter/RateLimited"
export const UnavailableTypeId = "~effect-resilience/RateLimiter/RateLimiterUnavailable"

/**
 * A limit refused the call. The work was not started and nothing was taken. HTTP: 429.
 *
 * - `policy`, `rule`, `key`: whose limit it was; of several that refused, the one that has to be waited for longest.
 * - `limit`, `remaining`: of that rule, in what it counts.
 * - `retryAfter`: in this time the same call has room, if nobody else comes. Infinite when `never`.
 * - `reset`: in this time the limit is as if nothing had been taken.
 * - `never`: the call asks for more than can ever be had at once, or for a cost that nobody knows.
 * - `reason`: `"Limit"`, `"Blocked"` by `block`, `"UnknownCost"` with `onUnknownCost: "deny"`, or `"QueueFull"` when there was room
 *   neither now nor in the line.
 *
 * Its kind of failure is `RateLimited` (`Permanent` when `never`) with scope `"request"`: it is our refusal and says nothing of
 * the dependency. It carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("effect-resilience/RateLimited")("RateLimited", {
  policy: Schema.String,
  rule: Schema.String,
  key: Schema.String,
  limit: Schema.Finite,
  remaining: Schema.Finite,
  retryAfter: Schema.Duration,
  reset: Schema.Duration,
  never: Schema.Boolean,
  reason: Schema.Literals(["Limit", "Blocked", "UnknownCost", "QueueFull"])
}) {
  // A getter, not a field: refusals are made without the constructor.
  get [RateLimitedTypeId](): typeof RateLimitedTypeId {
    return RateLimitedTypeId
  }

  override get message(): string {
    const { never, policy, reason, retryAfter, rule } = this
    const when = never ? "never" : `in ${Duration.format(retryAfter)}`
    switch (reason) {
      case "Limit":
        return `Rate limit "${policy}" (${rule}) exceeded: there is room ${when}`
      case "Blocked":
        return `Rate limit "${policy}": the key is blocked, retry ${when}`
      case "UnknownCost":
        return `Rate limit "${policy}" (${rule}): the cost is unknown`
      case "QueueFull":
        return `Rate limit "${policy}" (${rule}) exceeded, and too many wait: retry ${when}`
    }
  }

  [Failure.symbol](): Failure.Info {
    const { message, never, retryAfter } = this
    return never
      ? { kind: "Permanent", scope: "request", code: "RateLimited", message }
      : { kind: "RateLimited", scope: "request", code: "RateLimited", message, retryAfter }
  }
}

/**
 * The limiter's store did not answer, and a rule with `onStoreError: "closed"` refuses what it cannot count. HTTP: 503.
 *
 * It is no refusal by a limit: nobody knows whether there was room. Its kind of failure is `Overloaded` with scope `"request"`. It
 * carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimiterUnavailable
  extends Schema.TaggedError<RateLimiterUnavailable>("effect-resilience/RateLimiterUnavailable")(
    "RateLimiterUnavailable",
    { policy: Schema.String, rule: Schema.String, key: Schema.String }
  )
{
  readonly [UnavailableTypeId] = UnavailableTypeId

  override get message(): string {
    return `The store of rate limit "${this.policy}" did not answer`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Overloaded", scope: "request", code: "RateLimiterUnavailable", message: this.message }
  }
}

/**
 * A store could not do what it was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimiterStoreError
  extends Schema.TaggedError<RateLimiterStoreError>("effect-resilience/RateLimiterStoreError")(
    "RateLimiterStoreError",
    { operation: Schema.Literals(["decide", "settle", "command"]), cause: Schema.Defect() }
  )
{
  override get message(): string {
    return `The rate limiter's store failed to ${this.operation}: ${causeOf(this.cause).message}`
  }

  [Failure.symbol](): Failure.Info {
    return { ...causeOf(this.cause), scope: "dependency", message: this.message }
  }
}

const causeOf = (cause: unknown): Failure.Info => Failure.classifyUnsafe(Failure.defaultClassifier, cause)

const newRateLimited = stackless(RateLimited)

/** The error of a refusal. Nothing is captured, and the fields are known to be right: it costs less than the decision. */
export const rateLimited = (
  { key, limit, never, policy, reason, remaining, reset, retryAfter, rule }: Omit<Denied, "_tag" | "rules">,
  instead?: RateLimited["reason"]
): RateLimited => {
  const error = newRateLimited()
  error._tag = "RateLimited"
  error.policy = policy
  error.rule = rule
  error.key = key
  error.limit = limit
  error.remaining = remaining
  error.retryAfter = retryAfter
  error.reset = reset
  error.never = never
  error.reason = instead ?? reason
  return error
}
