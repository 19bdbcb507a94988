/** What a limiter says, and how a store's answer becomes that. */
import * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import * as Signal from "../../Signal.ts"
import { withoutStack } from "../withoutStack.ts"
import type { Asked, Asking } from "./checks.ts"
import type { Outcome } from "./decide.ts"
import { RateLimiterUnavailable } from "./errors.ts"
import type { Reply } from "./store.ts"

/**
 * How one rule stands after a decision. Amounts are in its unit; `remaining` requests are whole, other units may have a fraction.
 *
 * - `limit`: how much there is when nothing was taken; of a token bucket its burst.
 * - `resetAfter`: in this time it is as if nothing had been taken.
 * - `unknownCost`: nobody said what the request costs in this unit, and `onUnknownCost` decided. Left out when false.
 * - `shadowDenied`: it would have refused, were it not a shadow. Left out when false.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleState {
  readonly policy: string
  readonly rule: string
  readonly unit: string
  readonly limit: number
  readonly remaining: number
  readonly resetAfter: Duration.Duration
  readonly unknownCost?: true
  readonly shadowDenied?: true
}

/**
 * There was room under every rule, and it was taken.
 *
 * - `delay`: start after this time. Above zero only with a `leakyBucket` that has a queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Allowed {
  readonly _tag: "Allowed"
  readonly rules: ReadonlyArray<RuleState>
  readonly delay: Duration.Duration
}

/**
 * A rule refused, and nothing was taken of any. Of several that refused, it is told which has to be waited for longest.
 *
 * The fields are those of {@link RateLimited}. A key that is blocked has the rule `"block"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Denied {
  readonly _tag: "Denied"
  readonly policy: string
  readonly rule: string
  readonly key: string
  readonly retryAfter: Duration.Duration
  readonly limit: number
  readonly remaining: number
  readonly reset: Duration.Duration
  readonly never: boolean
  readonly reason: "Limit" | "Blocked" | "UnknownCost"
  readonly rules: ReadonlyArray<RuleState>
}

/**
 * The store did not answer, and nobody knows whether there was room.
 *
 * - `mode`: what decided: `"closed"` when a rule has it, else `"local"` when a rule has it (and there was room in this process's share;
 *   when not, the decision is {@link Denied}), else `"open"`.
 * - `rules`: of the local shares.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreUnavailable {
  readonly _tag: "StoreUnavailable"
  readonly mode: "open" | "closed" | "local"
  readonly policy: string
  readonly rule: string
  readonly key: string
  readonly rules: ReadonlyArray<RuleState>
}

/**
 * @category models
 * @since 0.1.0
 */
export type Decision = Allowed | Denied | StoreUnavailable

export const fromReply = ({ entries, subjects }: Asked, reply: Reply): Allowed | Denied => {
  const rules = entries.map((entry, index) => ruleState(entry, reply.outcomes[index]!))
  if (reply.allowed) {
    let delay = 0
    for (const outcome of reply.outcomes) delay = Math.max(delay, outcome.delay)
    return { _tag: "Allowed", rules, delay: millis(delay) }
  }
  let wait = 0
  let worst: Asking | undefined
  let state: RuleState | undefined
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!
    const outcome = reply.outcomes[index]!
    if (entry.shadow || outcome.wait <= wait) continue
    wait = outcome.wait
    worst = entry
    state = rules[index]
  }
  for (let index = 0; index < reply.blocked.length; index++) {
    if (reply.blocked[index]! <= wait) continue
    wait = reply.blocked[index]!
    worst = undefined
    state = undefined
  }
  const subject = worst ?? subjects[reply.blocked.indexOf(wait)] ?? subjects[0]!
  // More than there can ever be is `never`; more than there is until something held is given back, is not.
  const never = worst !== undefined && worst.cost > worst.shape.most
  return {
    _tag: "Denied",
    policy: subject.policy,
    rule: worst?.rule.name ?? "block",
    key: subject.key,
    retryAfter: millis(wait),
    limit: state?.limit ?? 0,
    remaining: state?.remaining ?? 0,
    reset: state?.resetAfter ?? millis(wait),
    never,
    reason: worst === undefined
      ? "Blocked"
      : worst.unknownCost && worst.rule.onUnknownCost === "deny"
      ? "UnknownCost"
      : "Limit",
    rules
  }
}

const millis = (value: number): Duration.Duration => value === 0 ? Duration.zero : Duration.millis(value)

const ruleState = (entry: Asking, outcome: Outcome): RuleState => {
  const { rule, shape } = entry
  // A leaky bucket takes one more as long as its queue is not overfull.
  const units = shape.weight === 1
    ? outcome.remaining
    : outcome.remaining < 0
    ? 0
    : outcome.remaining + shape.scale
  const left = units / shape.scale
  const state: RuleState = {
    policy: entry.policy,
    rule: rule.name,
    unit: rule.unit,
    limit: shape.limit / shape.scale,
    remaining: rule.unit === "requests" ? Math.floor(left) : left,
    resetAfter: millis(outcome.reset)
  }
  return !entry.unknownCost && !(rule.shadow && outcome.wait > 0) ? state : {
    ...state,
    ...(entry.unknownCost && rule.unit !== "requests" ? { unknownCost: true } : undefined),
    ...(rule.shadow && outcome.wait > 0 ? { shadowDenied: true } : undefined)
  }
}

export const unavailable = ({ key, policy, rule }: StoreUnavailable): RateLimiterUnavailable =>
  withoutStack(() => new RateLimiterUnavailable({ policy, rule, key }))

/** One signal a rule. A rule that had room while another refused is told as neither. */
export const emit = (
  fiber: Fiber.Fiber<unknown, unknown>,
  { entries }: Asked,
  decision: Decision,
  outcomes: ReadonlyArray<Outcome> | undefined
): void => {
  if (!Signal.isHeardUnsafe(fiber)) return
  for (let index = 0; index < entries.length; index++) {
    const { policy, rule } = entries[index]!
    const wait = outcomes?.[index]?.wait ?? 0
    const said = rule.shadow && wait > 0
      ? "shadow_denied"
      : decision._tag === "StoreUnavailable"
      ? "store_unavailable"
      : decision._tag === "Allowed"
      ? "allowed"
      : wait > 0 || decision.reason === "Blocked" && decision.policy === policy
      ? "denied"
      : undefined
    if (said !== undefined) {
      Signal.emitUnsafe(fiber, { _tag: "LimitDecided", policy, rule: rule.name, decision: said })
    }
  }
}
