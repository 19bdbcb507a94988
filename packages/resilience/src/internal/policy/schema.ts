/** Policies as data. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

const positive = { expected: "a finite number above 0" }
const fraction = { expected: "a number from 0 to 1" }

const Count = Schema.Int.check(
  Schema.makeFilter((n: number) => Number.isSafeInteger(n) && n > 0, { expected: "a positive integer" })
)
const CountOrNone = Schema.Int.check(
  Schema.makeFilter((n: number) => Number.isSafeInteger(n) && n >= 0, { expected: "an integer of at least 0" })
)
const Positive = Schema.Finite.check(Schema.makeFilter((n: number) => n > 0, positive))
const NotNegative = Schema.Finite.check(
  Schema.makeFilter((n: number) => n >= 0, { expected: "a finite number of at least 0" })
)
const Share = Schema.Finite.check(Schema.makeFilter((n: number) => n >= 0 && n <= 1, fraction))
const ShareAboveZero = Schema.Finite.check(
  Schema.makeFilter((n: number) => n > 0 && n <= 1, { expected: "a number above 0 and up to 1" })
)

const time = (isRight: (millis: number) => boolean, expected: string) =>
  Schema.DurationFromString.check(
    Schema.makeFilter((duration: Duration.Duration) => isRight(Duration.toMillis(duration)), { expected })
  )

const Time = time((millis) => millis > 0 && millis < Infinity, "a finite duration above zero, such as \"2 seconds\"")
const TimeOrEver = time((millis) => millis > 0, "a duration above zero")
const TimeOrNone = time((millis) => millis >= 0 && millis < Infinity, "a finite duration of at least zero")

const optional = Schema.optionalKey

const Backoff = Schema.Struct({
  base: Time,
  factor: optional(
    Schema.Finite.check(Schema.makeFilter((n: number) => n >= 1, { expected: "a finite number of at least 1" }))
  ),
  cap: optional(Time),
  jitter: optional(Schema.Literals(["full", "equal", "decorrelated", "none"])),
  times: optional(CountOrNone),
  during: optional(TimeOrNone)
})

/** Waits that grow, without chance: when they begin and end is the same for all. */
const Growing = Schema.Struct({ base: Time, factor: optional(Positive), cap: Time })

const Budget = Schema.Union([
  Schema.Struct({
    rule: Schema.Literal("ratio"),
    ratio: optional(NotNegative),
    floor: optional(NotNegative),
    window: optional(Time)
  }),
  Schema.Struct({
    rule: Schema.Literal("tokens"),
    capacity: optional(Count),
    retryCost: optional(CountOrNone),
    timeoutCost: optional(CountOrNone),
    refund: optional(CountOrNone)
  }),
  Schema.Struct({ rule: Schema.Literal("inFlight"), ratio: optional(NotNegative), minimum: optional(CountOrNone) }),
  Schema.Struct({ rule: Schema.Literal("unlimited") })
])

const Retry = Schema.Struct({
  times: optional(CountOrNone),
  kinds: optional(
    Schema.Struct({
      Transient: optional(Backoff),
      Timeout: optional(Backoff),
      Overloaded: optional(Backoff),
      RateLimited: optional(Backoff)
    })
  ),
  retryAfterCap: optional(TimeOrNone),
  budget: optional(Budget)
})

const Window = Schema.Union([Time, Schema.Struct({ calls: Count })])

const rate = { threshold: optional(Share), window: Window, minimumCalls: optional(Count) }

const Rule = [
  Schema.Struct({ kind: Schema.Literal("consecutive"), failures: Count }),
  Schema.Struct({ kind: Schema.Literal("failureRate"), ...rate }),
  Schema.Struct({ kind: Schema.Literal("slowCallRate"), ...rate, threshold: Share, slowerThan: TimeOrNone })
] as const

const Trip = Schema.Union([
  ...Rule,
  Schema.Struct({ kind: Schema.Literal("anyOf"), rules: Schema.NonEmptyArray(Schema.Union(Rule)) })
])

const Breaker = Schema.Struct({
  trip: Trip,
  openFor: optional(Schema.Union([Time, Growing])),
  maxOpenFor: optional(TimeOrEver),
  halfOpen: optional(
    Schema.Struct({
      probes: optional(Count),
      required: optional(ShareAboveZero),
      deadline: optional(TimeOrEver),
      onDeadline: optional(Schema.Literals(["Open", "Closed"]))
    })
  ),
  recovery: optional(Schema.Struct({ fractions: Schema.NonEmptyArray(Share), every: Time })),
  inFlight: optional(Schema.Struct({ maxWhileUnhealthy: Count })),
  shadow: optional(Schema.Boolean),
  capacity: optional(Count),
  idleTimeToLive: optional(TimeOrEver)
})

const Bulkhead = Schema.Struct({
  limit: Count,
  queue: optional(CountOrNone),
  maxWait: optional(TimeOrEver),
  order: optional(Schema.Literals(["fifo", "lifo", "priority"]))
})

const anyRule = {
  name: optional(Schema.NonEmptyString),
  unit: optional(Schema.NonEmptyString),
  shadow: optional(Schema.Boolean),
  onStoreError: optional(
    Schema.Union([Schema.Literals(["open", "closed"]), Schema.Struct({ share: ShareAboveZero })])
  ),
  onUnknownCost: optional(Schema.Union([Schema.Literals(["allow", "deny"]), NotNegative])),
  limit: Positive
}

const LimitRule = Schema.Union([
  Schema.Struct({ algorithm: Schema.Literal("tokenBucket"), ...anyRule, window: Time, burst: optional(Positive) }),
  Schema.Struct({ algorithm: Schema.Literal("slidingWindow"), ...anyRule, window: Time, slices: optional(Count) }),
  Schema.Struct({
    algorithm: Schema.Literal("fixedWindow"),
    ...anyRule,
    window: Time,
    align: optional(Schema.Literals(["firstHit", "clock"]))
  }),
  Schema.Struct({
    algorithm: Schema.Literal("leakyBucket"),
    ...anyRule,
    window: Time,
    queue: optional(NotNegative)
  }),
  Schema.Struct({ algorithm: Schema.Literal("concurrency"), ...anyRule, lease: optional(Time) })
])

const Limit = Schema.Struct({
  rules: Schema.NonEmptyArray(LimitRule),
  maxWait: optional(TimeOrNone),
  maxQueue: optional(CountOrNone)
})

const Hedge = Schema.Struct({
  delay: Schema.Union([
    TimeOrNone,
    Schema.Struct({
      quantile: Schema.Finite.check(
        Schema.makeFilter((n: number) => n >= 0.01 && n <= 0.9999, { expected: "a number from 0.01 to 0.9999" })
      ),
      window: optional(Count),
      minimumCalls: optional(Count),
      initial: optional(TimeOrNone)
    })
  ]),
  max: optional(Count),
  maxExtraLoad: optional(NotNegative)
})

const Route = Schema.Struct({
  policy: Schema.NonEmptyString,
  cost: optional(Schema.Union([NotNegative, Schema.Struct({ input: NotNegative, output: NotNegative })])),
  quality: optional(Schema.Finite),
  contextWindow: optional(NotNegative),
  priority: optional(Schema.Finite),
  takesRefused: optional(Schema.Boolean)
})

const Fallback = Schema.Struct({
  routes: Schema.NonEmptyArray(Schema.Union([Schema.NonEmptyString, Route])),
  order: optional(Schema.Literals(["priority", "cost", "quality", "latency"])),
  cooldown: optional(Growing),
  haltFor: optional(TimeOrNone),
  maxWait: optional(TimeOrNone),
  budget: optional(
    Schema.Struct({
      limit: Positive,
      window: optional(TimeOrEver),
      warnAt: optional(Share),
      denyAt: optional(
        Schema.Finite.check(Schema.makeFilter((n: number) => n >= 1, { expected: "a finite number of at least 1" }))
      )
    })
  )
})

const Cache = Schema.Struct({
  /** Which binding says how requests become keys and values are kept. */
  binding: Schema.NonEmptyString,
  ttl: Time,
  staleFor: optional(TimeOrNone),
  staleIfError: optional(TimeOrNone),
  capacity: Count
})

const Times = Schema.Struct({ total: optional(Time), call: optional(Time), attempt: optional(Time) })

/** One policy, without its name. */
export const Config = Schema.Struct({
  deadline: optional(Schema.Union([Time, Times])),
  retry: optional(Retry),
  breaker: optional(Breaker),
  bulkhead: optional(Bulkhead),
  limit: optional(Limit),
  hedge: optional(Hedge),
  fallback: optional(Fallback),
  deadLetter: optional(Schema.NonEmptyString),
  cache: optional(Cache),
  idempotent: optional(Schema.Boolean)
})

/** Policies by name. */
export const Document = Schema.Struct({ policies: Schema.Record(Schema.String, Config) })

export type Config = typeof Config.Type
export type Document = typeof Document.Type
