/**
 * What kind of failure is this?
 *
 * Retry, breaker, limiter, fallback and dead letters all ask the same question of an error: is it worth another try,
 * when, and is the dependency ill or was it this request? A `Classifier` answers it once, with an {@link Info}.
 *
 * The default rules know the errors of Effect's HTTP client, SQL, Redis, AI, schema and platform modules, of Node's
 * network stack, of Effect's own circuit breaker and rate limiter, and of this toolkit. An error of your own says what
 * it is by carrying its `Info` under {@link symbol}, or you put a rule before the default ones.
 *
 * | kind | it means | another try |
 * | --- | --- | --- |
 * | `Transient` | it may pass: reset connection, 500, deadlock | soon |
 * | `RateLimited` | you ask too often: 429 | when `retryAfter` is over |
 * | `Overloaded` | it cannot cope: 503, 529, out of connections | later, with more patience |
 * | `Timeout` | no answer in time: 408, 504, ETIMEDOUT | soon, and mind that it may have been done |
 * | `Permanent` | the same call fails again: 400, 401, 404, syntax error | no |
 * | `Critical` | data or trust is damaged: corrupt file, bad certificate | no, and tell somebody |
 * | `Cancelled` | the caller went away | no |
 *
 * An error that no rule knows is `Permanent`, with scope `"dependency"`: nothing is repeated that may not be safe to
 * repeat, and a breaker still counts it.
 *
 * **Gotchas**
 *
 * A bare `SchemaError` counts against the request, since most are bad input. Where you decode a *reply*, map its
 * error to one that says `Transient` or `Permanent` with scope `"dependency"`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as EffectErrors from "./internal/failure/effectErrors.ts"
import * as Http from "./internal/failure/http.ts"
import { dependency, read, request } from "./internal/failure/info.ts"
import { networkRule } from "./internal/failure/network.ts"
import { sqlErrorRule } from "./internal/failure/sqlErrors.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Failure"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Failure"

/**
 * What a failure means for whoever must decide what to do next. The table is in the module's description.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "Transient" | "RateLimited" | "Overloaded" | "Timeout" | "Permanent" | "Critical" | "Cancelled"

/**
 * What is known of a failure.
 *
 * - `retryAfter`: how long the dependency asked to wait, if it did.
 * - `code`: a short stable word: a status, an errno, a tag.
 * - `scope`: `"request"` when this request is to blame (bad input, context too long, content policy, our own
 *   rejection); it never counts against the dependency.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly kind: Kind
  readonly retryAfter?: Duration.Duration | undefined
  readonly code?: string | undefined
  readonly message: string
  readonly scope: "request" | "dependency"
}

/**
 * Knows some errors: says what it makes of one, or `undefined`. `now` is in milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = (error: unknown, now: number) => Info | undefined

/**
 * An ordered list of rules. Build one with {@link make}, join two with {@link orElse}, ask it with {@link classify}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Classifier extends Pipeable.Pipeable {
  readonly [TypeId]: TypeId
  readonly rules: ReadonlyArray<Rule>
}

/**
 * Where an error keeps its own verdict: a method of this name that returns an {@link Info}.
 *
 * **Example** (An error that says what it is)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Failure } from "effect-resilience"
 *
 * class SeatTaken extends Schema.TaggedError<SeatTaken>()("SeatTaken", { seat: Schema.String }) {
 *   [Failure.symbol](): Failure.Info {
 *     return { kind: "Permanent", scope: "request", code: "SeatTaken", message: `Seat ${this.seat} is taken` }
 *   }
 * }
 *
 * const info = await Effect.runPromise(Failure.classify(new SeatTaken({ seat: "12A" })))
 * info.kind // => "Permanent"
 * ```
 *
 * @category symbols
 * @since 0.1.0
 */
export const symbol: unique symbol = Symbol.for("effect-resilience/Failure")

/**
 * @category guards
 * @since 0.1.0
 */
export const isClassifier = (u: unknown): u is Classifier => Predicate.hasProperty(u, TypeId)

/**
 * A classifier of your own. The first rule that knows an error decides; if none does, its `cause` is asked the same
 * way. A rule that throws counts as not knowing the error.
 *
 * **Example** (A rule before the default ones)
 *
 * ```ts
 * import { Data, Effect } from "effect"
 * import { Failure } from "effect-resilience"
 *
 * class Maintenance extends Data.TaggedError("Maintenance") {}
 *
 * const classifier = Failure.make((error) =>
 *   error instanceof Maintenance
 *     ? { kind: "Overloaded", scope: "dependency", message: "down for maintenance" }
 *     : undefined
 * ).pipe(Failure.orElse(Failure.defaultClassifier))
 *
 * const kind = Failure.classify(new Maintenance()).pipe(
 *   Effect.map((info) => info.kind),
 *   Effect.provide(Failure.layer(classifier))
 * )
 * await Effect.runPromise(kind) // => "Overloaded"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (...rules: ReadonlyArray<Rule>): Classifier => Object.assign(Object.create(Proto), { rules })

const Proto = {
  ...Pipeable.Prototype,
  [TypeId]: TypeId
}

/**
 * Asks `that` about errors that `self` does not know.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orElse: {
  (that: Classifier): (self: Classifier) => Classifier
  (self: Classifier, that: Classifier): Classifier
} = dual(2, (self: Classifier, that: Classifier) => make(...self.rules, ...that.rules))

/** What an error says of itself under {@link symbol}. */
const ownRule: Rule = (error) => {
  const own = read(error, symbol)
  if (typeof own !== "function") return undefined
  const info: unknown = own.call(error)
  return isInfo(info) ? info : undefined
}

/**
 * Whether a value is an {@link Info}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isInfo = (u: unknown): u is Info =>
  Predicate.hasProperty(u, "kind") && Predicate.hasProperty(u, "scope") && Predicate.hasProperty(u, "message")

/**
 * The rules that the module's description lists.
 *
 * @category classifiers
 * @since 0.1.0
 */
export const defaultClassifier: Classifier = make(
  ownRule,
  EffectErrors.httpClientErrorRule,
  EffectErrors.httpResponseRule,
  EffectErrors.aiErrorRule,
  sqlErrorRule,
  EffectErrors.redisErrorRule,
  EffectErrors.coreCircuitBreakerRule,
  EffectErrors.coreRateLimiterRule,
  EffectErrors.timeoutErrorRule,
  EffectErrors.schemaErrorRule,
  EffectErrors.platformErrorRule,
  networkRule
)

/**
 * The classifier that all policies of a program ask. Without a layer it is {@link defaultClassifier}.
 *
 * @category services
 * @since 0.1.0
 */
export const Classifier: Context.Reference<Classifier> = Context.Reference<Classifier>(
  "effect-resilience/Failure/Classifier",
  { defaultValue: () => defaultClassifier }
)

/**
 * Provides another classifier than the default one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (classifier: Classifier): Layer.Layer<never> => Layer.succeed(Classifier, classifier)

/**
 * Asks the program's {@link Classifier} about an error, a `Cause` or an `Exit`.
 *
 * A cause is judged by its first typed error; without one by its first defect, `Permanent` if no rule knows it; a cause
 * of interruption alone is `Cancelled`. A successful exit is no failure and comes out as one of the request, `Permanent`
 * with the code `"NotAFailure"`.
 *
 * **Example** (A refused connection)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Failure } from "effect-resilience"
 *
 * const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" })
 * const info = await Effect.runPromise(Failure.classify(refused))
 * info // => { kind: "Transient", scope: "dependency", code: "ECONNREFUSED", message: "connect ECONNREFUSED 127.0.0.1:1" }
 * ```
 *
 * @category classifying
 * @since 0.1.0
 */
export const classify = (failure: unknown): Effect.Effect<Info> =>
  Effect.withFiber((fiber) => Effect.succeed(infoUnsafe(fiber, failure)))

/**
 * {@link classify} for code that has a fiber at hand, such as a policy. Never throws.
 *
 * @category classifying
 * @since 0.1.0
 */
export const infoUnsafe = (fiber: Fiber.Fiber<unknown, unknown>, failure: unknown): Info =>
  classifyUnsafe(fiber.getRef(Classifier), failure, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())

/**
 * Asks a classifier, outside of Effect or where each nanosecond counts. Never throws.
 *
 * `now`, in milliseconds since the epoch, serves to read a `Retry-After` that is a date; the default is the time of the
 * default clock.
 *
 * @category classifying
 * @since 0.1.0
 */
export const classifyUnsafe = (classifier: Classifier, failure: unknown, now?: number): Info => {
  const at = now ?? Clock.Clock.defaultValue().currentTimeMillisUnsafe()
  try {
    if (Cause.isCause(failure)) return classifyCause(classifier, failure, at)
    if (Exit.isExit(failure)) {
      return Exit.isFailure(failure)
        ? classifyCause(classifier, failure.cause, at)
        : request("Permanent", "a successful exit is not a failure", { code: "NotAFailure" })
    }
  } catch {
    // A proxy that throws when it is looked at is neither.
  }
  return classifyError(classifier, failure, at)
}

/**
 * What a status of an HTTP reply says, with the wait asked for in its headers: `retry-after-ms`, `x-ms-retry-after-ms`,
 * or `Retry-After` in seconds or as a date.
 *
 * Header names are lower case, as Effect's and Node's are. A date is measured from the reply's own `date` header where
 * there is one; else from `now`, in milliseconds since the epoch, by default the time of the default clock.
 *
 * **Example** (Too many requests)
 *
 * ```ts
 * import { Duration } from "effect"
 * import { Failure } from "effect-resilience"
 *
 * const info = Failure.fromHttpStatus(429, { "retry-after": "2" })
 * info.kind // => "RateLimited"
 * info.retryAfter // => Duration.seconds(2)
 * ```
 *
 * @category classifying
 * @since 0.1.0
 */
export const fromHttpStatus = (
  status: number,
  headers: Readonly<Record<string, string | undefined>> = {},
  now?: number
): Info =>
  Http.fromStatus(status, headers, `HTTP status ${status}`, now ?? Clock.Clock.defaultValue().currentTimeMillisUnsafe())

const maxCauseDepth = 8

const classifyError = (classifier: Classifier, error: unknown, now: number): Info => {
  let candidate = error
  for (let depth = 0; depth < maxCauseDepth && candidate !== undefined && candidate !== null; depth++) {
    for (const rule of classifier.rules) {
      try {
        const info = rule(candidate, now)
        if (info !== undefined) return info
      } catch {
        // A rule that throws does not know this error: the next one may.
      }
    }
    candidate = nextCause(candidate)
  }
  return dependency("Permanent", error)
}

/** Node reports a connection that failed on every address as an `AggregateError` of one error an address. */
const nextCause = (error: unknown): unknown => read(error, "cause") ?? read(read(error, "errors"), 0)

const classifyCause = (classifier: Classifier, cause: Cause.Cause<unknown>, now: number): Info => {
  const fail = cause.reasons.find(Cause.isFailReason)
  if (fail !== undefined) return classifyError(classifier, fail.error, now)
  const die = cause.reasons.find(Cause.isDieReason)
  if (die !== undefined) {
    const info = classifyError(classifier, die.defect, now)
    return info.code === undefined ? { ...info, code: "Defect" } : info
  }
  return { kind: "Cancelled", scope: "request", code: "Interrupted", message: "interrupted" }
}
