/** How a chain fails when none of its routes answered. */
import type * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"
import { Kind, Scope } from "../failureSchema.ts"

const ExhaustedTypeId = "~effect-resilience/FallbackChain/FallbackExhausted"

/**
 * A route that was asked and did not answer. `duration` is how long that took, its retries included.
 *
 * @category models
 * @since 0.1.0
 */
export const Attempt = Schema.Struct({
  route: Schema.String,
  kind: Kind,
  scope: Scope,
  code: Schema.optionalKey(Schema.String),
  message: Schema.String,
  duration: Schema.DurationFromMillis,
  error: Schema.Defect()
})

/**
 * @category models
 * @since 0.1.0
 */
export type Attempt = typeof Attempt.Type

export const attemptOf = (
  route: string,
  info: Failure.Info,
  duration: Duration.Duration,
  error: unknown
): Attempt => ({
  route,
  kind: info.kind,
  scope: info.scope,
  ...(info.code === undefined ? {} : { code: info.code }),
  message: info.message,
  duration,
  error
})

/**
 * A route that was not asked, and why.
 *
 * - `"When"`: its own condition said no
 * - `"ContextWindow"`, `"Quality"`: it cannot serve what the request asks
 * - `"ContentPolicy"`: another one refused the content, and this one does not take what was refused
 * - `"Budget"`: too dear for what is left
 * - `"Cooling"`, `"Limited"`, `"Halted"`: it failed a short while ago, asked to be left alone, or lost its account
 *
 * @category models
 * @since 0.1.0
 */
export const Skipped = Schema.Struct({
  route: Schema.String,
  reason: Schema.Literals([
    "When",
    "ContextWindow",
    "Quality",
    "ContentPolicy",
    "Budget",
    "Cooling",
    "Limited",
    "Halted"
  ])
})

/**
 * @category models
 * @since 0.1.0
 */
export type Skipped = typeof Skipped.Type

/**
 * No route answered.
 *
 * - `attempts`: the routes that were asked, in order, with what each failed with
 * - `skipped`: the routes that were not asked, and why
 * - `retryAfter`: when the first of them may be asked again, where one rests
 *
 * It is of the kind of the last attempt that another try may mend, or of the last one; `Overloaded` with scope `"request"`
 * where nobody was asked. It carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class FallbackExhausted extends Schema.TaggedError<FallbackExhausted>("effect-resilience/FallbackExhausted")(
  "FallbackExhausted",
  {
    chain: Schema.String,
    attempts: Schema.Array(Attempt),
    skipped: Schema.Array(Skipped),
    retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
  }
) {
  readonly [ExhaustedTypeId] = ExhaustedTypeId

  override get message(): string {
    const asked = this.attempts.map(({ message, route }) => `${route}: ${message}`)
    const skipped = this.skipped.map(({ reason, route }) => `${route}: not asked (${reason})`)
    return `No route of "${this.chain}" answered. ${[...asked, ...skipped].join("; ")}`
  }

  [Failure.symbol](): Failure.Info {
    const decisive = this.attempts.findLast(({ kind }) => mendable.has(kind)) ?? this.attempts.at(-1)
    return {
      kind: decisive?.kind ?? "Overloaded",
      scope: this.attempts.some(({ scope }) => scope === "dependency") ? "dependency" : "request",
      code: "FallbackExhausted",
      message: this.message,
      ...(this.retryAfter === undefined ? {} : { retryAfter: this.retryAfter })
    }
  }
}

const mendable: ReadonlySet<Failure.Kind> = new Set(["Transient", "RateLimited", "Overloaded", "Timeout"])

const NoPatternTypeId = "~effect-resilience/FallbackChain/NoPatternMatched"

/**
 * A text matched none of the patterns.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoPatternMatched extends Schema.TaggedError<NoPatternMatched>("effect-resilience/NoPatternMatched")(
  "NoPatternMatched",
  { patterns: Schema.Int }
) {
  readonly [NoPatternTypeId] = NoPatternTypeId

  override get message(): string {
    return `None of ${this.patterns} patterns matched`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "NoPatternMatched", message: this.message }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isNoPatternMatched = (u: unknown): u is NoPatternMatched => Predicate.hasProperty(u, NoPatternTypeId)

/**
 * @category guards
 * @since 0.1.0
 */
export const isFallbackExhausted = (u: unknown): u is FallbackExhausted => Predicate.hasProperty(u, ExhaustedTypeId)
