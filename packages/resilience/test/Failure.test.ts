import { assert, describe, it } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import * as AiError from "effect/ai/AiError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as CoreCircuitBreaker from "effect/persistence/CircuitBreaker"
import * as CoreRateLimiter from "effect/persistence/RateLimiter"
import * as Redis from "effect/persistence/Redis"
import * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as SqlError from "effect/sql/SqlError"

const classify = (error: unknown) => Failure.classifyUnsafe(Failure.defaultClassifier, error)

/** `Transient/dependency`, and the code where there is one. */
const verdict = (error: unknown) => {
  const { code, kind, scope } = classify(error)
  return `${kind}/${scope}${code === undefined ? "" : `/${code}`}`
}

const coded = (code: string) => Object.assign(new Error(`failed with ${code}`), { code })

const request = HttpClientRequest.get("http://127.0.0.1/secret?key=hidden")
const response = (status: number, headers: Record<string, string> = {}) =>
  HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
const httpError = (reason: HttpClientError.HttpClientErrorReason) => new HttpClientError.HttpClientError({ reason })

const ai = (reason: AiError.AiErrorReason) => new AiError.AiError({ module: "Test", method: "generateText", reason })
const sql = (reason: SqlError.SqlErrorReason) => new SqlError.SqlError({ reason })
const redis = (message: string) => new Redis.RedisError({ cause: new Error(message) })

describe("Failure: HTTP statuses", () => {
  it.each([
    [400, "Permanent/request/400"],
    [401, "Permanent/dependency/401"],
    [403, "Permanent/dependency/403"],
    [404, "Permanent/request/404"],
    [408, "Timeout/dependency/408"],
    [409, "Permanent/request/409"],
    [422, "Permanent/request/422"],
    [425, "Transient/dependency/425"],
    [429, "RateLimited/dependency/429"],
    [499, "Cancelled/request/499"],
    [500, "Transient/dependency/500"],
    [502, "Transient/dependency/502"],
    [503, "Overloaded/dependency/503"],
    [504, "Timeout/dependency/504"],
    [529, "Overloaded/dependency/529"]
  ])("%i is %s, as a status error and as a response", (status, expected) => {
    assert.strictEqual(
      verdict(httpError(new HttpClientError.StatusCodeError({ request, response: response(status) }))),
      expected
    )
    assert.strictEqual(verdict(response(status)), expected)
    const { code, kind, scope } = Failure.fromHttpStatus(status)
    assert.strictEqual(`${kind}/${scope}/${code}`, expected)
  })

  const at = Date.UTC(2026, 0, 1)
  it.each<[Record<string, string>, Duration.Duration | undefined]>([
    [{ "retry-after": "2" }, Duration.seconds(2)],
    [{ "retry-after": " 2.5 " }, Duration.millis(2_500)],
    [{ "retry-after-ms": "1500", "retry-after": "2" }, Duration.millis(1_500)],
    [{ "x-ms-retry-after-ms": "70" }, Duration.millis(70)],
    [{ "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT" }, Duration.minutes(1)],
    [
      { "retry-after": "Thu, 01 Jan 2026 01:00:30 GMT", date: "Thu, 01 Jan 2026 01:00:00 GMT" },
      Duration.seconds(30)
    ],
    [{ "retry-after": "Thu, 01 Jan 2020 00:00:00 GMT" }, Duration.zero],
    [{ "retry-after": "-5" }, Duration.zero],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{ "retry-after": "1e999" }, undefined],
    [{ "retry-after-ms": "NaN", "retry-after": "1" }, Duration.seconds(1)]
  ])("reads %j", (headers, expected) => {
    assert.deepStrictEqual(Failure.fromHttpStatus(429, headers, at).retryAfter, expected)
  })

  it.effect("carries the wait of a real response's headers", () =>
    Effect.gen(function*() {
      const info = yield* Failure.classify(response(503, { "Retry-After": "7" }))
      assert.deepStrictEqual(info.retryAfter, Duration.seconds(7))
    }))
})

describe("Failure: Effect's errors", () => {
  const garbage = response(200)
  it.each<[string, unknown, string]>([
    [
      "a lost connection",
      httpError(new HttpClientError.TransportError({ request, cause: coded("ECONNRESET") })),
      "Transient/dependency/ECONNRESET"
    ],
    [
      "a transport error without a code",
      httpError(new HttpClientError.TransportError({ request })),
      "Transient/dependency/TransportError"
    ],
    [
      "a timeout far down",
      httpError(
        new HttpClientError.TransportError({
          request,
          cause: new TypeError("fetch failed", { cause: coded("UND_ERR_HEADERS_TIMEOUT") })
        })
      ),
      "Timeout/dependency/UND_ERR_HEADERS_TIMEOUT"
    ],
    [
      "a body that is no JSON",
      httpError(new HttpClientError.DecodeError({ request, response: garbage })),
      "Transient/dependency/DecodeError"
    ],
    [
      "an empty body",
      httpError(new HttpClientError.EmptyBodyError({ request, response: garbage })),
      "Transient/dependency/EmptyBodyError"
    ],
    [
      "a bad body of an error status",
      httpError(new HttpClientError.DecodeError({ request, response: response(400) })),
      "Permanent/request/400"
    ],
    ["a body we cannot send", httpError(new HttpClientError.EncodeError({ request })), "Permanent/request/EncodeError"],
    [
      "a URL that is none",
      httpError(new HttpClientError.InvalidUrlError({ request })),
      "Permanent/request/InvalidUrlError"
    ],

    ["AI: rate limit", ai(new AiError.RateLimitError({})), "RateLimited/dependency/RateLimitError"],
    ["AI: quota", ai(new AiError.QuotaExhaustedError({})), "Permanent/dependency/QuotaExhaustedError"],
    [
      "AI: key",
      ai(new AiError.AuthenticationError({ kind: "InvalidKey" })),
      "Permanent/dependency/AuthenticationError"
    ],
    [
      "AI: content policy",
      ai(new AiError.ContentPolicyError({ description: "no" })),
      "Permanent/request/ContentPolicyError"
    ],
    [
      "AI: bad request",
      ai(new AiError.InvalidRequestError({ description: "temperature" })),
      "Permanent/request/InvalidRequestError"
    ],
    [
      "AI: context, OpenAI's words",
      ai(new AiError.InvalidRequestError({ description: "This model's maximum context length is 8192 tokens" })),
      "Permanent/request/ContextTooLong"
    ],
    [
      "AI: context, Anthropic's words",
      ai(new AiError.InvalidRequestError({ description: "prompt is too long: 210000 tokens > 200000 maximum" })),
      "Permanent/request/ContextTooLong"
    ],
    [
      "AI: server error",
      ai(new AiError.InternalProviderError({ description: "oops" })),
      "Transient/dependency/InternalProviderError"
    ],
    [
      "AI: overloaded",
      ai(new AiError.InternalProviderError({ description: "oops", http: { response: { status: 529, headers: {} } } })),
      "Overloaded/dependency/InternalProviderError"
    ],
    [
      "AI: network",
      ai(
        new AiError.NetworkError({
          reason: "TransportError",
          method: "POST",
          url: "http://127.0.0.1",
          cause: coded("EPIPE")
        })
      ),
      "Transient/dependency/EPIPE"
    ],
    [
      "AI: bad URL",
      ai(new AiError.NetworkError({ reason: "InvalidUrlError", method: "POST", url: "::" })),
      "Permanent/request/InvalidUrlError".replace("InvalidUrlError", "NetworkError")
    ],
    [
      "AI: output that does not parse",
      ai(new AiError.InvalidOutputError({ description: "not JSON" })),
      "Transient/dependency/InvalidOutputError"
    ],
    [
      "AI: wrong user input",
      ai(new AiError.InvalidUserInputError({ description: "no" })),
      "Permanent/request/InvalidUserInputError"
    ],

    [
      "SQL: connection",
      sql(new SqlError.ConnectionError({ cause: new Error("gone") })),
      "Transient/dependency/ConnectionError"
    ],
    [
      "SQL: refused",
      sql(new SqlError.ConnectionError({ cause: coded("ECONNREFUSED") })),
      "Transient/dependency/ECONNREFUSED"
    ],
    [
      "SQL: password",
      sql(new SqlError.AuthenticationError({ cause: coded("28P01") })),
      "Permanent/dependency/AuthenticationError"
    ],
    ["SQL: syntax", sql(new SqlError.SqlSyntaxError({ cause: coded("42601") })), "Permanent/request/SqlSyntaxError"],
    [
      "SQL: unique",
      sql(new SqlError.UniqueViolation({ cause: coded("23505"), constraint: "c" })),
      "Permanent/request/UniqueViolation"
    ],
    [
      "SQL: constraint",
      sql(new SqlError.ConstraintError({ cause: coded("23514") })),
      "Permanent/request/ConstraintError"
    ],
    ["SQL: deadlock", sql(new SqlError.DeadlockError({ cause: coded("40P01") })), "Transient/request/DeadlockError"],
    [
      "SQL: serialization",
      sql(new SqlError.SerializationError({ cause: coded("40001") })),
      "Transient/request/SerializationError"
    ],
    ["SQL: lock", sql(new SqlError.LockTimeoutError({ cause: coded("55P03") })), "Timeout/dependency/LockTimeoutError"],
    [
      "SQL: statement timeout",
      sql(new SqlError.StatementTimeoutError({ cause: coded("57014") })),
      "Timeout/dependency/57014"
    ],
    [
      "SQL: too many connections",
      sql(new SqlError.UnknownError({ cause: coded("53300") })),
      "Overloaded/dependency/53300"
    ],
    ["SQL: starting up", sql(new SqlError.UnknownError({ cause: coded("57P03") })), "Transient/dependency/57P03"],
    ["SQL: corrupt table", sql(new SqlError.UnknownError({ cause: coded("XX001") })), "Critical/dependency/XX001"],
    [
      "SQL: corrupt SQLite file",
      sql(new SqlError.UnknownError({ cause: Object.assign(new Error("malformed"), { errcode: 267 }) })),
      "Critical/dependency/SQLITE_CORRUPT"
    ],
    [
      "SQL: full disk",
      sql(new SqlError.UnknownError({ cause: Object.assign(new Error("full"), { errcode: 13 }) })),
      "Overloaded/dependency/SQLITE_FULL"
    ],

    ["Redis: refused", new Redis.RedisError({ cause: coded("ECONNREFUSED") }), "Transient/dependency/ECONNREFUSED"],
    ["Redis: loading", redis("LOADING Redis is loading the dataset in memory"), "Overloaded/dependency/LOADING"],
    [
      "Redis: read only replica",
      redis("READONLY You can't write against a read only replica."),
      "Transient/dependency/READONLY"
    ],
    ["Redis: cluster down", redis("CLUSTERDOWN The cluster is down"), "Transient/dependency/CLUSTERDOWN"],
    ["Redis: out of memory", redis("OOM command not allowed"), "Overloaded/dependency/OOM"],
    ["Redis: password", redis("NOAUTH Authentication required."), "Permanent/dependency/NOAUTH"],
    ["Redis: wrong type", redis("WRONGTYPE Operation against a key"), "Permanent/request/WRONGTYPE"],
    ["Redis: wrong command", redis("ERR unknown command"), "Permanent/request/ERR"],

    [
      "core's breaker, open",
      new CoreCircuitBreaker.CircuitBreakerError({
        reason: new CoreCircuitBreaker.CircuitOpen({ key: "k", retryAfter: Duration.seconds(3) })
      }),
      "Overloaded/request/CircuitOpen"
    ],
    [
      "core's breaker, half-open",
      new CoreCircuitBreaker.CircuitBreakerError({ reason: new CoreCircuitBreaker.CircuitHalfOpen({ key: "k" }) }),
      "Overloaded/request/CircuitHalfOpen"
    ],
    [
      "core's limiter",
      new CoreRateLimiter.RateLimiterError({
        reason: new CoreRateLimiter.RateLimitExceeded({
          key: "k",
          limit: 1,
          remaining: 0,
          retryAfter: Duration.seconds(3)
        })
      }),
      "RateLimited/request/RateLimitExceeded"
    ],
    [
      "core's limiter's store",
      new CoreRateLimiter.RateLimiterError({ reason: new CoreRateLimiter.RateLimitStoreError({ message: "down" }) }),
      "Transient/dependency/RateLimitStoreError"
    ],

    ["a timeout of Effect's", new Cause.TimeoutError(), "Timeout/dependency/TimeoutError"],
    [
      "a missing file",
      PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "open" }),
      "Permanent/dependency/NotFound"
    ],
    [
      "a busy file",
      PlatformError.systemError({ _tag: "Busy", module: "FileSystem", method: "open" }),
      "Overloaded/dependency/Busy"
    ],
    [
      "a wrong argument",
      PlatformError.badArgument({ module: "FileSystem", method: "open" }),
      "Permanent/request/BadArgument"
    ]
  ])("%s", (_, error, expected) => {
    assert.strictEqual(verdict(error), expected)
  })

  it.effect("input that does not fit its schema", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Schema.decodeUnknownEffect(Schema.Finite)("x"))
      assert.strictEqual(verdict(error), "Permanent/request/SchemaError")
    }))

  it("keeps the waits that the errors ask for", () => {
    assert.deepStrictEqual(
      classify(ai(new AiError.RateLimitError({ retryAfter: Duration.seconds(9) }))).retryAfter,
      Duration.seconds(9)
    )
    const overloaded = new AiError.InternalProviderError({
      description: "busy",
      http: { response: { status: 503, headers: { "retry-after": "7" } } }
    })
    assert.deepStrictEqual(classify(ai(overloaded)).retryAfter, Duration.seconds(7))
    const open = new CoreCircuitBreaker.CircuitOpen({ key: "k", retryAfter: Duration.seconds(3) })
    assert.deepStrictEqual(
      classify(new CoreCircuitBreaker.CircuitBreakerError({ reason: open })).retryAfter,
      Duration.seconds(3)
    )
  })

  it("tells no secret of a URL", () => {
    assert.notInclude(classify(httpError(new HttpClientError.TransportError({ request }))).message, "hidden")
  })
})

describe("Failure: Node's errors", () => {
  it.each([
    ["ECONNREFUSED", "Transient/dependency"],
    ["ECONNRESET", "Transient/dependency"],
    ["ETIMEDOUT", "Timeout/dependency"],
    ["EAI_AGAIN", "Transient/dependency"],
    ["ENOTFOUND", "Transient/dependency"],
    ["EPIPE", "Transient/dependency"],
    ["UND_ERR_SOCKET", "Transient/dependency"],
    ["UND_ERR_CONNECT_TIMEOUT", "Timeout/dependency"],
    ["UND_ERR_ABORTED", "Cancelled/request"],
    ["EMFILE", "Overloaded/dependency"],
    ["CERT_HAS_EXPIRED", "Critical/dependency"],
    ["ERR_INVALID_URL", "Permanent/request"]
  ])("%s is %s", (code, expected) => {
    assert.strictEqual(verdict(coded(code)), `${expected}/${code}`)
  })

  it("an abort is Cancelled, a timed-out abort signal is a Timeout", () => {
    const aborted = new AbortController()
    aborted.abort()
    assert.strictEqual(verdict(aborted.signal.reason), "Cancelled/request/AbortError")
    assert.strictEqual(verdict(new DOMException("too long", "TimeoutError")), "Timeout/dependency/TimeoutError")
  })

  it("looks into causes and into the first error of several", () => {
    assert.strictEqual(
      verdict(new Error("x", { cause: new Error("y", { cause: coded("EPIPE") }) })),
      "Transient/dependency/EPIPE"
    )
    assert.strictEqual(verdict(new AggregateError([coded("ETIMEDOUT")])), "Timeout/dependency/ETIMEDOUT")
  })
})

describe("Failure: causes and exits", () => {
  it.effect("an error wins over a defect, a defect over an interruption", () =>
    Effect.gen(function*() {
      const fail = Cause.fail(coded("EPIPE"))
      const die = Cause.die(new Error("bug"))
      const interrupt = Cause.interrupt(1)
      const kindOf = (cause: Cause.Cause<unknown>) =>
        Effect.map(Failure.classify(cause), ({ code, kind }) => [kind, code])
      assert.deepStrictEqual(yield* kindOf(Cause.combine(interrupt, Cause.combine(die, fail))), ["Transient", "EPIPE"])
      assert.deepStrictEqual(yield* kindOf(Cause.combine(interrupt, die)), ["Permanent", "Defect"])
      assert.deepStrictEqual(yield* kindOf(Cause.die(coded("EPIPE"))), ["Transient", "EPIPE"])
      assert.deepStrictEqual(yield* kindOf(interrupt), ["Cancelled", "Interrupted"])
    }))

  it.effect("an exit is judged by its cause, and a success is none of its business", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Failure.classify(Exit.fail(coded("EPIPE")))).kind, "Transient")
      assert.strictEqual((yield* Failure.classify(Exit.succeed(1))).code, "NotAFailure")
    }))
})

describe("Failure: rules", () => {
  class Own extends Data.TaggedError("Own")<{ readonly kind: Failure.Kind }> {
    [Failure.symbol](): Failure.Info {
      return { kind: this.kind, scope: "request", message: "own" }
    }
  }

  it("an error speaks for itself", () => {
    assert.strictEqual(verdict(new Own({ kind: "Critical" })), "Critical/request")
    assert.strictEqual(verdict(new Error("outer", { cause: new Own({ kind: "Overloaded" }) })), "Overloaded/request")
  })

  it("what nobody knows is Permanent and counts against the dependency", () => {
    for (const unknown of [new Error("?"), "text", 5, null, undefined, {}, Symbol("s"), () => 1, NaN]) {
      assert.strictEqual(verdict(unknown), "Permanent/dependency")
    }
  })

  it("the first rule that knows an error decides", () => {
    const first = Failure.make((error) =>
      error === "a" ? { kind: "Timeout", scope: "dependency", message: "1" } : undefined
    )
    const second = Failure.make((error) =>
      error === "a" || error === "b" ? { kind: "Critical", scope: "dependency", message: "2" } : undefined
    )
    const both = Failure.orElse(first, second)
    assert.strictEqual(Failure.classifyUnsafe(both, "a").message, "1")
    assert.strictEqual(Failure.classifyUnsafe(both, "b").message, "2")
    assert.isTrue(Failure.isClassifier(both))
  })

  it("a rule that throws counts as not knowing the error", () => {
    const broken = Failure.make(() => {
      throw new Error("a bug of the rule")
    })
    assert.strictEqual(
      Failure.classifyUnsafe(Failure.orElse(broken, Failure.defaultClassifier), coded("EPIPE")).kind,
      "Transient"
    )
  })

  it("never throws, whatever it is given", () => {
    const cyclic: { cause?: unknown } = {}
    cyclic.cause = cyclic
    const hostile = new Proxy({}, {
      get: () => {
        throw new Error("hostile")
      },
      has: () => {
        throw new Error("hostile")
      }
    })
    const getter = Object.defineProperty(new Error("x"), "code", {
      get: () => {
        throw new Error("hostile")
      }
    })
    const liar = { [Failure.symbol]: () => "not an info" }
    let deep: unknown = coded("EPIPE")
    for (let i = 0; i < 10_000; i++) deep = { cause: deep }
    for (const error of [cyclic, hostile, getter, liar, deep, Object.create(null), Cause.fail(hostile)]) {
      assert.strictEqual(classify(error).kind, "Permanent")
    }
  })

  it("a message is kept short", () => {
    assert.isTrue(classify(new Error("x".repeat(100_000))).message.length <= 500)
  })
})
