/** Mistakes that are legal. */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import * as Bulkhead from "../../Bulkhead.ts"
import * as CircuitBreaker from "../../CircuitBreaker.ts"
import * as FallbackChain from "../../FallbackChain.ts"
import * as Hedge from "../../Hedge.ts"
import * as Retry from "../../Retry.ts"
import { durationMillis } from "../options.ts"
import type { Options } from "./options.ts"
import { formatMillis, type Limits } from "./parts.ts"

/**
 * What {@link Warning} is about. The table is in docs/Policy.md.
 *
 * @category models
 * @since 0.1.0
 */
export type WarningCode =
  | "Empty"
  | "NoDeadline"
  | "CallOutlivesTotal"
  | "AttemptOutlivesCall"
  | "NoTimeForSecondAttempt"
  | "RetryWithoutAttemptTime"
  | "RetryWithoutBudget"
  | "RepeatsWhatIsNotIdempotent"
  | "HedgeTooLate"
  | "QueueOutlivesDeadline"
  | "LimitOutlivesDeadline"
  | "ProbeCutShort"
  | "SlowIsNeverReached"
  | "OpenForLong"
  | "NoTimeForSecondRoute"

/**
 * Something that is allowed and probably not what was meant.
 *
 * - `at`: which option, as `"deadline.attempt"`
 *
 * @category models
 * @since 0.1.0
 */
export interface Warning {
  readonly code: WarningCode
  readonly at: string
  readonly message: string
}

type Rule = (options: Options, times: Limits) => Warning | false

const warning = (code: WarningCode, at: string, message: string): Warning => ({ code, at, message })

/** What one call may take at most: its own time, or what the whole has. */
const callMillis = ({ call, total }: Limits): number => Math.min(call, total)

const breakerOptions = ({ breaker }: Options) =>
  breaker === undefined || CircuitBreaker.isCircuitBreaker(breaker) ? undefined : breaker

const empty: Rule = ({ name, idempotent: _, ...rest }) =>
  Object.values(rest).every((part) => part === undefined)
  && warning("Empty", name, "nothing is given: calls run as they are")

const noDeadline: Rule = ({ breaker, bulkhead, retry }, { attempt, call, total }) =>
  Math.min(total, call, attempt) === Infinity && (breaker ?? bulkhead ?? retry) !== undefined
  && warning("NoDeadline", "deadline", "a call that hangs keeps its place for ever, and no breaker hears of it")

const callOutlivesTotal: Rule = (_, { call, total }) =>
  call !== Infinity && call >= total && total !== Infinity
  && warning(
    "CallOutlivesTotal",
    "deadline.call",
    `${formatMillis(call)} are not less than the total of ${
      formatMillis(total)
    }: what is cut by that is no failure to a breaker`
  )

const attemptOutlivesCall: Rule = (_, times) =>
  times.attempt !== Infinity && times.attempt >= callMillis(times)
  && warning(
    "AttemptOutlivesCall",
    "deadline.attempt",
    `${formatMillis(times.attempt)} are not less than the ${formatMillis(callMillis(times))} of the whole call`
  )

const noTimeForSecondAttempt: Rule = ({ retry }, times) =>
  retry !== undefined && times.attempt < callMillis(times) && 2 * times.attempt > callMillis(times)
  && warning(
    "NoTimeForSecondAttempt",
    "deadline.attempt",
    `after one attempt of ${formatMillis(times.attempt)} the call has no time for another one`
  )

const retryWithoutAttemptTime: Rule = ({ retry }, { attempt }) =>
  retry !== undefined && attempt === Infinity
  && warning("RetryWithoutAttemptTime", "deadline.attempt", "an attempt that hangs leaves no time for a retry")

const retryWithoutBudget: Rule = ({ retry }) =>
  retry !== undefined && !Retry.isBudgeted(retry)
  && warning(
    "RetryWithoutBudget",
    "retry",
    "when all calls fail, retries multiply the load: end it with Retry.withBudget"
  )

const repeats: Rule = ({ hedge, idempotent, retry }) =>
  idempotent === false && (hedge ?? retry) !== undefined
  && warning(
    "RepeatsWhatIsNotIdempotent",
    hedge === undefined ? "retry" : "hedge",
    "only calls that say that they are idempotent are repeated"
  )

const hedgeTooLate: Rule = ({ hedge }, times) => {
  if (hedge === undefined || Hedge.isHedge(hedge)) return false
  const { delay } = hedge
  if (Schedule.isSchedule(delay) || typeof delay === "object" && "quantile" in delay) return false
  const after = durationMillis("hedge.delay", delay)
  const most = Math.min(times.attempt, callMillis(times))
  return after >= most
    && warning("HedgeTooLate", "hedge.delay", `after ${formatMillis(after)} the attempt has been cut already`)
}

const queueOutlivesDeadline: Rule = ({ bulkhead }, { total }) => {
  if (bulkhead === undefined || Bulkhead.isBulkhead(bulkhead) || (bulkhead.queue ?? 0) === 0) return false
  const wait = bulkhead.maxWait === undefined ? Infinity : durationMillis("bulkhead.maxWait", bulkhead.maxWait)
  return wait >= total
    && warning(
      "QueueOutlivesDeadline",
      "bulkhead.maxWait",
      `a call may wait for its place ${wait === Infinity ? "without end" : formatMillis(wait)}, and has ${
        formatMillis(total)
      } in all`
    )
}

const limitOutlivesDeadline: Rule = ({ limit }, { total }) => {
  if (limit === undefined || !("maxWait" in limit) || limit.maxWait === undefined) return false
  const wait = durationMillis("limit.maxWait", limit.maxWait)
  return wait >= total && total !== Infinity
    && warning(
      "LimitOutlivesDeadline",
      "limit.maxWait",
      `a call may wait for room ${formatMillis(wait)}, and has ${formatMillis(total)} in all`
    )
}

const probeCutShort: Rule = (options, times) => {
  const breaker = breakerOptions(options)
  if (breaker === undefined || callMillis(times) === Infinity) return false
  const deadline = durationMillis("breaker.halfOpen.deadline", breaker.halfOpen?.deadline ?? "30 seconds")
  return deadline < callMillis(times)
    && warning(
      "ProbeCutShort",
      "breaker.halfOpen.deadline",
      `a probe counts as failed after ${formatMillis(deadline)}, while a call has ${formatMillis(callMillis(times))}`
    )
}

const slowIsNeverReached: Rule = (options, times) => {
  const breaker = breakerOptions(options)
  if (breaker === undefined) return false
  const rules = breaker.trip._tag === "AnyOf" ? breaker.trip.rules : [breaker.trip]
  const slowest = Math.max(
    ...rules.map((rule) => rule._tag === "Consecutive" ? -Infinity : rule.slowerThan ?? -Infinity)
  )
  return slowest >= callMillis(times)
    && warning(
      "SlowIsNeverReached",
      "breaker.trip.slowerThan",
      `no call lives for ${formatMillis(slowest)}: it is cut after ${formatMillis(callMillis(times))}`
    )
}

/** Opened for longer than this, a circuit makes a long outage out of a short one. */
const longMillis = Duration.toMillis("10 minutes")

const openForLong: Rule = (options) => {
  const openFor = breakerOptions(options)?.openFor
  if (openFor === undefined || Schedule.isSchedule(openFor)) return false
  const millis = durationMillis("breaker.openFor", openFor)
  return millis > longMillis
    && warning(
      "OpenForLong",
      "breaker.openFor",
      `nobody asks again for ${formatMillis(millis)}, however short the outage`
    )
}

const noTimeForSecondRoute: Rule = ({ fallback }, { call, total }) =>
  FallbackChain.isFallbackChain(fallback) && total !== Infinity && 2 * call > total
  && warning(
    "NoTimeForSecondRoute",
    "deadline.call",
    `a route that hangs for ${formatMillis(call)} leaves the next one less than that of ${formatMillis(total)}`
  )

const rules: ReadonlyArray<Rule> = [
  empty,
  noDeadline,
  callOutlivesTotal,
  attemptOutlivesCall,
  noTimeForSecondAttempt,
  retryWithoutAttemptTime,
  retryWithoutBudget,
  repeats,
  hedgeTooLate,
  queueOutlivesDeadline,
  limitOutlivesDeadline,
  probeCutShort,
  slowIsNeverReached,
  openForLong,
  noTimeForSecondRoute
]

export const lint = (options: Options, times: Limits): ReadonlyArray<Warning> =>
  rules.flatMap((rule) => rule(options, times) || [])
