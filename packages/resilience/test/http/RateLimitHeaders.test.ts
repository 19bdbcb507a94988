import { assert, describe, it } from "@effect/vitest"
import * as RateLimitHeaders from "effect-resilience/http/RateLimitHeaders"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

const integer = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** 15 November 2026, in the middle of a second. */
const now = 1_794_700_800_250

const decode = (headers: Readonly<Record<string, string | undefined>>, at = now) =>
  RateLimitHeaders.decode(headers, { now: at })

const Amounts = Schema.Struct({
  limit: integer(1_000_000),
  remaining: integer(1_000_000),
  seconds: integer(100_000_000),
  millis: integer(100_000_000_000),
  windowSeconds: integer(100_000_000)
})

/** What survives a structured field's string: printable ASCII. */
const Name = Schema.String.check(Schema.isPattern(/^[\x20-\x7e]{1,40}$/))
const Unit = Schema.Literals(["requests", "tokens", "input-tokens", "cost"])

describe("RateLimitHeaders: what is written is read again", () => {
  it.prop("RL-15 X-RateLimit-* with seconds", [Amounts], ([{ limit, remaining, seconds }]) => {
    const quota = { name: "default", unit: "requests", limit, remaining, resetAfter: Duration.seconds(seconds) }
    const headers = RateLimitHeaders.encode([quota], { now, dialects: ["x-ratelimit"] })
    assert.deepStrictEqual(decode(headers).quotas, [{ ...quota, dialect: "x-ratelimit" }])
  })

  it.prop("RL-15 X-RateLimit-* with seconds since the epoch", [Amounts], ([{ limit, remaining, seconds }]) => {
    const quota = { name: "default", unit: "requests", limit, remaining, resetAfter: Duration.seconds(seconds) }
    const whole = now - 250
    const headers = RateLimitHeaders.encode([quota], { now: whole, dialects: ["x-ratelimit-epoch"] })
    assert.deepStrictEqual(decode(headers, whole).quotas, [{ ...quota, dialect: "x-ratelimit-epoch" }])
  })

  it.prop(
    "RL-15 RateLimit and RateLimit-Policy, any number of policies",
    [Schema.Array(Schema.Struct({ name: Name, unit: Unit, amounts: Amounts })).check(Schema.isMaxLength(5))],
    ([policies]) => {
      const quotas = policies
        .filter(({ name }, index) => policies.findIndex((other) => other.name === name) === index)
        .map(({ amounts: { limit, remaining, seconds, windowSeconds }, name, unit }) => ({
          name,
          unit,
          limit,
          remaining,
          resetAfter: Duration.seconds(seconds),
          window: Duration.seconds(windowSeconds)
        }))
      const headers = RateLimitHeaders.encode(quotas, { now, dialects: ["ratelimit"] })
      assert.deepStrictEqual(
        decode(headers).quotas,
        quotas.map((quota) => Object.assign(quota, { dialect: "ratelimit" as const }))
      )
    }
  )

  for (const dialect of ["openai", "anthropic"] as const) {
    it.prop(`RL-15 ${dialect}'s, to the millisecond`, [Amounts, Amounts], ([requests, tokens]) => {
      const quotas = [["requests", requests] as const, ["tokens", tokens] as const].map(([unit, of]) => ({
        name: unit,
        unit,
        limit: of.limit,
        remaining: of.remaining,
        resetAfter: Duration.millis(of.millis)
      }))
      const headers = RateLimitHeaders.encode(quotas, { now, dialects: [dialect] })
      assert.deepStrictEqual(decode(headers).quotas, quotas.map((quota) => Object.assign(quota, { dialect })))
    })
  }

  it.prop("RL-15 Retry-After in every form, never earlier than asked and at most a second later", [
    integer(100_000_000_000)
  ], ([millis]) => {
    for (const form of ["seconds", "date"] as const) {
      const headers = RateLimitHeaders.encodeRetryAfter(Duration.millis(millis), { form, now })
      const read = RateLimitHeaders.decodeRetryAfter(headers, { now })
      const late = Duration.toMillis(read!) - millis
      assert.isTrue(late >= 0 && late < 1000, `${form}: ${late}`)
    }
    const exact = RateLimitHeaders.encodeRetryAfter(Duration.millis(millis), { form: "millis" })
    assert.deepStrictEqual(RateLimitHeaders.decodeRetryAfter(exact, { now }), Duration.millis(millis))
  })

  it.prop("RL-15 what is written is never rosier than the truth", [
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e9 })),
    integer(1_000_000_000)
  ], ([remaining, millis]) => {
    const quota = { name: "default", unit: "requests", limit: 1e9, remaining, resetAfter: Duration.millis(millis) }
    for (const dialect of ["x-ratelimit", "x-ratelimit-epoch", "ratelimit", "openai", "anthropic"] as const) {
      const [read] = decode(RateLimitHeaders.encode([quota], { now, dialects: [dialect] })).quotas
      assert.isTrue(read!.remaining! <= remaining && read!.remaining! > remaining - 1, dialect)
      assert.isTrue(Duration.toMillis(read!.resetAfter!) >= millis, dialect)
      assert.isTrue(Duration.toMillis(read!.resetAfter!) < millis + 1000, dialect)
    }
  })
})

describe("RateLimitHeaders.encode", () => {
  const minute = { name: "minute", unit: "requests", limit: 60, remaining: 12, resetAfter: Duration.seconds(30) }
  const day = { name: "day", unit: "requests", limit: 1000, remaining: 3, resetAfter: Duration.hours(5) }
  const tokens = { name: "tokens", unit: "tokens", limit: 90_000, remaining: 0, resetAfter: Duration.seconds(61) }

  it("puts into X-RateLimit-* the quota of requests that the caller meets first", () => {
    const headers = RateLimitHeaders.encode([minute, day, tokens], { now, dialects: ["x-ratelimit"] })
    assert.deepStrictEqual(headers, {
      "x-ratelimit-limit": "1000",
      "x-ratelimit-remaining": "3",
      "x-ratelimit-reset": "18000"
    })
  })

  it("takes the later reset of two that have the same left, whatever their order", () => {
    const [soon, late] = [{ ...minute, remaining: 0 }, { ...day, remaining: 0 }]
    for (const quotas of [[soon, late], [late, soon]]) {
      assert.strictEqual(RateLimitHeaders.encode(quotas, { now })["x-ratelimit-reset"], "18000")
    }
  })

  it("tells all of them in the draft's form", () => {
    const headers = RateLimitHeaders.encode([minute, { ...tokens, window: Duration.minutes(1) }], {
      now,
      dialects: ["ratelimit"]
    })
    assert.deepStrictEqual(headers, {
      ratelimit: `"minute";r=12;t=30, "tokens";r=0;t=61`,
      "ratelimit-policy": `"minute";q=60, "tokens";q=90000;qu="tokens";w=60`
    })
  })

  it("tells one a unit in the providers' forms", () => {
    assert.deepStrictEqual(RateLimitHeaders.encode([minute, day, tokens], { now, dialects: ["openai"] }), {
      "x-ratelimit-limit-requests": "1000",
      "x-ratelimit-remaining-requests": "3",
      "x-ratelimit-reset-requests": "5h0m0s",
      "x-ratelimit-limit-tokens": "90000",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "1m1s"
    })
    assert.deepStrictEqual(RateLimitHeaders.encode([tokens], { now: 0, dialects: ["anthropic"] }), {
      "anthropic-ratelimit-tokens-limit": "90000",
      "anthropic-ratelimit-tokens-remaining": "0",
      "anthropic-ratelimit-tokens-reset": "1970-01-01T00:01:01.000Z"
    })
  })

  it.prop("is always sendable, whatever policies are called and however large their figures", [
    Schema.String,
    Schema.String,
    Schema.Number,
    Schema.Number
  ], ([name, unit, amount, reset]) => {
    const resetAfter = Duration.millis(Number.isNaN(reset) ? 0 : Math.abs(reset))
    const quota = { name, unit, limit: amount, remaining: amount, resetAfter, window: resetAfter }
    const headers = RateLimitHeaders.encode([quota], {
      now,
      dialects: ["x-ratelimit", "x-ratelimit-epoch", "ratelimit", "openai", "anthropic"]
    })
    for (const [header, value] of Object.entries(headers)) {
      assert.match(header, /^[a-z][a-z0-9_-]*$/)
      assert.match(value, /^[\x20-\x7e]+$/)
      // In quotes are names, which may be anything.
      assert.notMatch(value.replaceAll(/"(?:[^"\\]|\\.)*"/g, "\"\""), /NaN|Infinity|undefined|e\+/)
    }
    // And whatever it is, it can be read.
    decode(headers)
  })

  it("says nothing of a time that never comes", () => {
    const never = { ...minute, resetAfter: Duration.infinity }
    assert.deepStrictEqual(
      RateLimitHeaders.encode([never], { now, dialects: ["x-ratelimit"], retryAfter: Duration.infinity }),
      { "x-ratelimit-limit": "60", "x-ratelimit-remaining": "12" }
    )
  })

  it("refuses options that make no sense", () => {
    assert.throws(() => RateLimitHeaders.encode([], { now: NaN }), RangeError, "now must be a finite number")
    assert.throws(() => RateLimitHeaders.encodeRetryAfter("-1 second"), RangeError, "retryAfter")
  })
})

describe("RateLimitHeaders.decode", () => {
  it("RL-15 reads the examples of the draft", () => {
    assert.deepStrictEqual(
      decode({
        "ratelimit-policy": `"burst";q=100;w=60,"daily";q=1000;w=86400;pk=:cHsdsRa894==:`,
        "ratelimit": `"burst";r=50;t=30`
      }).quotas,
      [
        {
          dialect: "ratelimit",
          name: "burst",
          unit: "requests",
          limit: 100,
          remaining: 50,
          resetAfter: Duration.seconds(30),
          window: Duration.minutes(1)
        },
        { dialect: "ratelimit", name: "daily", unit: "requests", limit: 1000, window: Duration.days(1) }
      ]
    )
  })

  it("RL-15 reads the drafts that came before", () => {
    assert.deepStrictEqual(
      decode({ "ratelimit-policy": "10;w=1, 100;w=60", "ratelimit": "limit=100, remaining=50, reset=5" }).quotas,
      [{
        dialect: "ratelimit",
        name: "default",
        unit: "requests",
        limit: 100,
        remaining: 50,
        resetAfter: Duration.seconds(5),
        window: Duration.minutes(1)
      }]
    )
    assert.deepStrictEqual(
      decode({ "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "50", "ratelimit-reset": "5" }).quotas,
      [{
        dialect: "x-ratelimit",
        name: "default",
        unit: "requests",
        limit: 100,
        remaining: 50,
        resetAfter: Duration.seconds(5),
        window: Duration.minutes(1)
      }]
    )
  })

  for (
    const [text, millis] of [
      ["12ms", 12],
      ["1s", 1000],
      ["6m0s", 360_000],
      ["1h2m3.5s", 3_723_500],
      ["7.66s", 7660],
      ["1d", 86_400_000],
      ["1500µs", 1.5],
      ["30", 30_000]
    ] as const
  ) {
    it(`RL-15 reads OpenAI's ${text}`, () => {
      const { quotas } = decode({ "x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": text })
      assert.deepStrictEqual(quotas, [{
        dialect: "openai",
        name: "tokens",
        unit: "tokens",
        remaining: 9,
        resetAfter: Duration.millis(millis)
      }])
    })
  }

  it("RL-15 reads Anthropic's points in time, from the reply's own clock where it has one", () => {
    const headers = {
      "anthropic-ratelimit-input-tokens-limit": "50000",
      "anthropic-ratelimit-input-tokens-remaining": "49000",
      "anthropic-ratelimit-input-tokens-reset": "2026-11-15T00:01:00Z"
    }
    const reset = (more: Readonly<Record<string, string>>) => decode({ ...headers, ...more }).quotas[0]?.resetAfter
    assert.deepStrictEqual(reset({}), Duration.millis(Date.parse("2026-11-15T00:01:00Z") - now))
    assert.deepStrictEqual(reset({ date: "Sun, 15 Nov 2026 00:00:00 GMT" }), Duration.minutes(1))
    assert.deepStrictEqual(reset({ date: "Sun, 15 Nov 2026 00:02:00 GMT" }), Duration.zero)
  })

  it("RL-15 tells seconds from points in time, in seconds or milliseconds", () => {
    const reset = (value: string) =>
      decode({ "x-ratelimit-remaining": "1", "x-ratelimit-reset": value }, 1_700_000_000_000).quotas[0]?.resetAfter
    assert.deepStrictEqual(reset("86400"), Duration.days(1))
    assert.deepStrictEqual(reset("1700000060"), Duration.minutes(1))
    assert.deepStrictEqual(reset("1700000060000"), Duration.minutes(1))
    assert.deepStrictEqual(reset("1600000000"), Duration.zero)
  })

  for (
    const date of ["Sun, 15 Nov 2026 00:01:00 GMT", "Sunday, 15-Nov-26 00:01:00 GMT", "Sun Nov 15 00:01:00 2026"]
  ) {
    it(`RL-15 reads Retry-After: ${date}`, () => {
      const headers = { "retry-after": date, date: "Sun, 15 Nov 2026 00:00:00 GMT" }
      assert.deepStrictEqual(RateLimitHeaders.decodeRetryAfter(headers, { now: 0 }), Duration.minutes(1))
    })
  }

  it("takes the most exact of several Retry-Afters", () => {
    const headers = { "retry-after": "2", "retry-after-ms": "1500" }
    assert.deepStrictEqual(RateLimitHeaders.decodeRetryAfter(headers, { now }), Duration.millis(1500))
    assert.deepStrictEqual(
      RateLimitHeaders.decodeRetryAfter({ "retry-after": "2", "x-ms-retry-after-ms": "250" }, { now }),
      Duration.millis(250)
    )
    assert.deepStrictEqual(
      RateLimitHeaders.decodeRetryAfter({ "retry-after": "2", "retry-after-ms": "soon" }, { now }),
      Duration.seconds(2)
    )
  })

  for (
    const value of [
      "",
      " ",
      "-1",
      "+5",
      "1e9",
      "0x10",
      "Infinity",
      "NaN",
      "five",
      "9".repeat(16),
      "1;",
      "1 2",
      "5s;",
      "Sun, 15 Nov 2026",
      "Sun, 99 Nov 2026 00:00:00 GMT",
      "\u0000",
      "9".repeat(100_000)
    ]
  ) {
    it(`RL-15 ignores the nonsense ${JSON.stringify(value.slice(0, 20))}`, () => {
      const headers = {
        "x-ratelimit-limit": value,
        "x-ratelimit-remaining": value,
        "x-ratelimit-reset": value,
        "x-ratelimit-limit-tokens": value,
        "x-ratelimit-remaining-tokens": value,
        "x-ratelimit-reset-tokens": value,
        "anthropic-ratelimit-tokens-remaining": value,
        "anthropic-ratelimit-tokens-reset": value,
        ratelimit: `"default";r=${value}`,
        "ratelimit-policy": `"default";q=${value}`,
        "retry-after-ms": value,
        date: value
      }
      assert.deepStrictEqual(decode(headers), { quotas: [] })
      assert.isUndefined(RateLimitHeaders.decodeRetryAfter({ "retry-after": value }, { now }))
    })
  }

  it.prop("RL-15 never throws and never gives a figure that is none, whatever the headers", [
    Schema.Record(
      Schema.Literals([
        "ratelimit",
        "ratelimit-policy",
        "ratelimit-limit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-reset-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-remaining-__proto__",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-reset",
        "retry-after",
        "retry-after-ms",
        "date"
      ]),
      Schema.Union([
        Schema.String,
        Schema.String.check(Schema.isPattern(/^[0-9a-z";=,.:?\\ -]{0,30}$/)),
        Schema.String.check(
          Schema.isPattern(/^"[a-z]{1,3}";[rqtw]=[0-9]{1,20}(, "[a-z]{1,3}";[rqtw]=[0-9.-]{1,5}){0,3}$/)
        )
      ])
    )
  ], ([headers]) => {
    const { quotas, retryAfter } = decode(headers)
    for (const { limit, remaining, resetAfter, window } of quotas) {
      assert.isTrue(limit !== undefined || remaining !== undefined)
      for (const amount of [limit, remaining]) {
        assert.isTrue(amount === undefined || (Number.isFinite(amount) && amount >= 0))
      }
      for (const time of [resetAfter, window, retryAfter]) {
        assert.isTrue(time === undefined || (Duration.isFinite(time) && Duration.toMillis(time) >= 0))
      }
    }
  })
})
