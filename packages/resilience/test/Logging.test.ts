import { assert, describe, it } from "@effect/vitest"
import * as Logging from "effect-resilience/Logging"
import * as Retry from "effect-resilience/Retry"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { createHash } from "node:crypto"
import { sha256Hex } from "../src/internal/sha256.ts"
import { fault } from "./support/faults.ts"

type Line = { readonly [field: string]: unknown }

/** Runs an effect whose log is kept, in a metric registry of its own, and returns the lines. */
const logged = <A, E>(self: Effect.Effect<A, E>, options?: Partial<Logging.Options>) =>
  Effect.gen(function*() {
    const written: Array<string> = []
    const layer = Logging.layerJson({
      service: "agent",
      version: "1.2.3",
      write: (lines) => Effect.sync(() => written.push(lines)),
      ...options
    })
    yield* self.pipe(
      Effect.provide(layer),
      Effect.provideService(References.MinimumLogLevel, "Trace"),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
    const text = written.join("")
    assert.isTrue(text === "" || text.endsWith("\n"))
    return text.split("\n").slice(0, -1).map((line): Line => JSON.parse(line))
  })

const one = <A, E>(self: Effect.Effect<A, E>, options?: Partial<Logging.Options>) =>
  Effect.map(logged(self, options), (lines) => {
    assert.strictEqual(lines.length, 1)
    return lines[0]!
  })

const span = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })

class Declined extends Data.TaggedError("Declined")<{ readonly card: string }> {
  override get message() {
    return `declined: ${this.card}`
  }
}

describe("a line", () => {
  it.effect("LG1: is one JSON object with the ids of the trace and the request", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_700_000_000_000)
      const line = yield* one(
        Effect.logInfo("two\nlines", "and\u2028more").pipe(
          Effect.annotateLogs({ request_id: "r-1", agent: "front", route: "/chat", duration_ms: 12.5 }),
          Effect.withParentSpan(span),
          Logging.category("message")
        )
      )
      assert.deepStrictEqual(line, {
        ts: "2023-11-14T22:13:20.000Z",
        level: "INFO",
        msg: "two\nlines and\u2028more",
        logger: "message",
        service: "agent",
        version: "1.2.3",
        trace_id: span.traceId,
        span_id: span.spanId,
        request_id: "r-1",
        agent: "front",
        route: "/chat",
        duration_ms: 12.5
      })
    }))

  it.effect("LG1: has the type, message and stack of the failure", () =>
    Effect.gen(function*() {
      const failed = yield* one(Effect.logError("could not pay", Cause.fail(new Declined({ card: "visa" }))))
      const { message, stack, type } = failed["error"] as Record<string, string>
      assert.deepStrictEqual([failed["msg"], type, message], ["could not pay", "Declined", "declined: visa"])
      assert.match(stack!, /Logging\.test\.ts/)
      const plain = yield* one(Effect.logError(new RangeError("too much")))
      assert.deepInclude(plain["error"], { type: "RangeError", message: "too much" })
      const interrupted = yield* one(Effect.logInfo("stopped", Cause.interrupt(1)))
      assert.deepStrictEqual(interrupted["error"], { type: "Interrupted", message: "interrupted" })
    }))

  it.effect("has a record's entries as fields, and times spans", () =>
    Effect.gen(function*() {
      const line = yield* one(
        Effect.andThen(TestClock.adjust("250 millis"), Effect.logInfo("chat", { tokens: 12 }, 7)).pipe(
          Effect.withLogSpan("turn")
        )
      )
      assert.deepInclude(line, { msg: "chat 7", tokens: 12, logger: "app", spans: { turn: 250 } })
    }))

  it.effect("keeps its own fields from annotations of their names", () =>
    Effect.gen(function*() {
      const line = yield* one(Effect.logInfo("a", { level: "b", msg: "c" }, JSON.parse(`{"__proto__":{"d":1}}`)))
      assert.deepInclude(line, { level: "INFO", msg: "a", "annotation.level": "b", "annotation.msg": "c" })
      assert.deepStrictEqual(Object.getOwnPropertyDescriptor(line, "__proto__")?.value, { d: 1 })
    }))

  it.effect("has a hash in place of a session, wherever it stands", () =>
    Effect.gen(function*() {
      const hash = createHash("sha256").update("s-1").digest("hex").slice(0, 16)
      const line = yield* one(
        Effect.logInfo("a", { nested: { sessionId: "s-1" } }).pipe(Effect.annotateLogs("session_id", "s-1"))
      )
      assert.deepInclude(line, { session: hash, nested: { sessionId: hash } })
      assert.notInclude(JSON.stringify(line), "s-1")
    }))

  it("hashes as everybody does", () => {
    for (const length of [0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1_000]) {
      const text = "aé".repeat(length).slice(0, length)
      assert.strictEqual(sha256Hex(text), createHash("sha256").update(text).digest("hex"), `${length}`)
    }
  })

  it.effect("goes to the console where nobody else takes it", () =>
    Effect.gen(function*() {
      const said: Array<unknown> = []
      const console: Console.Console = Object.assign(Object.create(globalThis.console), {
        log: (...words: ReadonlyArray<unknown>) => said.push(...words)
      })
      const layer = Logging.layerJson({ service: "a", version: "b" })
      yield* Effect.logInfo("hello").pipe(Effect.provide(layer), Effect.provideService(Console.Console, console))
      assert.strictEqual(said.length, 1)
      assert.strictEqual(JSON.parse(String(said[0])).msg, "hello")
    }))
})

describe("sampling", () => {
  const traces = Array.from({ length: 5_000 }, () => Effect.void)
  const inTrace = <A>(self: Effect.Effect<A>) => Effect.withSpan(self, "turn", { root: true })

  it.effect("LG1: DEBUG is written for a share of the traces, all of a trace or nothing", () =>
    Effect.gen(function*() {
      const turn = inTrace(Effect.andThen(Effect.logDebug("first"), Effect.logTrace("second")))
      const lines = yield* logged(Effect.forEach(traces, () => turn, { discard: true }), { sample: 0.1 })
      const byTrace = new Map<unknown, number>()
      for (const { sampled_rate, trace_id } of lines) {
        byTrace.set(trace_id, (byTrace.get(trace_id) ?? 0) + 1)
        assert.strictEqual(sampled_rate, 0.1)
        // The last 56 bits of the id are in the upper tenth.
        assert.isAtLeast(Number.parseInt(String(trace_id).slice(-14), 16), 0.9 * 2 ** 56)
      }
      assert.isTrue([...byTrace.values()].every((count) => count === 2))
      // Four standard deviations of 5,000 draws at a tenth.
      assert.approximately(byTrace.size, 500, 85)
    }))

  it.effect("LG1: WARN and above are always written, INFO unless told otherwise", () =>
    Effect.gen(function*() {
      const turn = inTrace(
        Effect.andThen(Effect.logWarning("w"), Effect.andThen(Effect.logError("e"), Effect.logInfo("i")))
      )
      const few = traces.slice(0, 200)
      const none = { info: 0, debug: 0, trace: 0 }
      const some = yield* logged(Effect.forEach(few, () => turn, { discard: true }), { sample: none })
      assert.strictEqual(some.filter(({ level }) => level === "WARN").length, few.length)
      assert.strictEqual(some.filter(({ level }) => level === "ERROR").length, few.length)
      assert.strictEqual(some.filter(({ level }) => level === "INFO").length, 0)
      const all = yield* logged(Effect.forEach(few, () => turn, { discard: true }))
      assert.strictEqual(all.filter(({ level }) => level === "INFO").length, few.length)
      assert.isTrue(all.every((line) => !("sampled_rate" in line)))
    }))

  it.effect("LG1: it is decided before anything is formatted, and what is left out is counted", () =>
    Effect.gen(function*() {
      let formatted = 0
      const costly = {
        get costly() {
          return ++formatted
        }
      }
      const program = Effect.andThen(
        Effect.forEach(traces.slice(0, 100), () => inTrace(Effect.logDebug("a", costly)), { discard: true }),
        Metric.value(Metric.counter("logs_unsampled_total", {
          description: "Log lines that sampling left out",
          incremental: true
        }))
      )
      const counts: Array<number> = []
      const lines = yield* logged(Effect.map(program, ({ count }) => counts.push(count)), { sample: 0.1 })
      assert.strictEqual(formatted, lines.length)
      assert.deepStrictEqual(counts, [100 - lines.length])
      assert.isBelow(lines.length, 60)
    }))

  it.effect("LG1: lines outside of a trace are taken evenly", () =>
    Effect.gen(function*() {
      const program = Effect.forEach(Array.from({ length: 100 }, (_, index) => index), (index) =>
        Effect.logDebug(`${index}`))
      const lines = yield* logged(program, { sample: 0.1 })
      assert.deepStrictEqual(
        lines.map(({ msg }) =>
          msg
        ),
        ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90"]
      )
    }))

  it("refuses shares that are none", () => {
    const base = { service: "a", version: "b" }
    assert.throws(
      () => Logging.layerJson({ ...base, sample: 2 }),
      RangeError,
      /^sample\.debug must be a number from 0 to 1/
    )
    assert.throws(() => Logging.layerJson({ ...base, sample: { info: NaN } }), RangeError, /^sample\.info must be/)
    assert.throws(() => Logging.layerJson({ ...base, capacity: 0 }), RangeError, /^capacity must be a positive integer/)
  })
})

describe("the queue", () => {
  const droppedCount = (reason: string) =>
    Effect.map(
      Metric.value(Metric.counter("logs_dropped_total", {
        description: "Log lines that were lost",
        attributes: { reason },
        incremental: true
      })),
      ({ count }) => count
    )

  it.effect("LG1: holds no more than its capacity, counts what it loses and says so in the log", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const slow = yield* Deferred.make<void>()
      const counts: Array<number> = []
      const layer = Logging.layerJson({
        service: "a",
        version: "b",
        capacity: 10,
        write: (lines) => Effect.andThen(Deferred.await(slow), Effect.sync(() => written.push(lines)))
      })
      const program = Effect.gen(function*() {
        yield* Effect.logInfo("first")
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        for (let index = 0; index < 1_000; index++) yield* Effect.logInfo(`line ${index}`)
        counts.push(yield* droppedCount("queue"))
        yield* Deferred.succeed(slow, undefined)
      })
      yield* Effect.provideService(Effect.provide(program, layer), Metric.MetricRegistry, new Map())
      const lines = written.join("").trim().split("\n").map((line): Line => JSON.parse(line))
      const notice = lines.find(({ lost }) => lost !== undefined)
      const kept = lines.filter((line) => line !== notice)
      assert.strictEqual(kept[0]?.["msg"], "first")
      assert.isAtMost(kept.length, 11)
      assert.strictEqual(counts[0], 1_001 - kept.length)
      assert.strictEqual(notice?.["lost"], 1_001 - kept.length)
      assert.strictEqual(notice?.["level"], "WARN")
    }))

  it.effect("LG1: a writer that fails costs its lines, which are counted, and not the program", () =>
    Effect.gen(function*() {
      const counts: Array<number> = []
      let broken = true
      const written: Array<string> = []
      const program = Effect.gen(function*() {
        yield* Effect.logInfo("lost")
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        broken = false
        yield* Effect.logInfo("kept")
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        counts.push(yield* droppedCount("write"))
      })
      const lines = yield* logged(program, {
        write: (lines) => broken ? Effect.die("disk full") : Effect.sync(() => written.push(lines))
      })
      assert.deepStrictEqual(lines, [])
      assert.deepStrictEqual(counts, [1])
      assert.include(written.join(""), "kept")
      assert.notInclude(written.join(""), "\"lost\"")
    }))

  it.effect("LG1: a writer that hangs is left when the program ends, and what it had is counted", () =>
    Effect.gen(function*() {
      const registry = new Map()
      const layer = Logging.layerJson({
        service: "a",
        version: "b",
        write: () => Effect.never,
        shutdownTimeout: "2 seconds"
      })
      const program = Effect.gen(function*() {
        yield* Effect.logInfo("taken")
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        yield* Effect.logInfo("waiting")
        yield* Effect.logInfo("waiting, too")
      }).pipe(Effect.provide(layer))
      const running = yield* Effect.forkChild(
        Effect.andThen(program, droppedCount("write")).pipe(Effect.provideService(Metric.MetricRegistry, registry))
      )
      // Until the layer has begun to end.
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(running), 3)
    }))

  it.effect("LG1: lines that wait are written when the scope closes, in order", () =>
    Effect.gen(function*() {
      const indexes = Array.from({ length: 500 }, (_, index) => `${index}`)
      const lines = yield* logged(Effect.forEach(indexes, (index) => Effect.logInfo(index), { discard: true }))
      assert.deepStrictEqual(lines.map(({ msg }) => msg), indexes)
    }))
})

describe("redaction", () => {
  const canary = "k3pt-0ut-0f-4ll-l0gs"

  it.effect("LG2: values of secret keys are not written, nested, in any case and spelling", () =>
    Effect.gen(function*() {
      const keys = [
        ..."password PASSWORD Passwd apiKey api-key API_KEY x-api-key X-Api-Key authorization Authorization".split(" "),
        ..."client_secret clientSecret access_token refreshToken cookie Set-Cookie private_key secret token pin".split(
          " "
        ),
        ..."db.password AWS_SECRET_ACCESS_KEY credentials passphrase Proxy-Authorization id_token".split(" ")
      ]
      for (const key of keys) {
        const secret = { [key]: canary }
        const line = yield* one(
          Effect.logInfo("a", secret, { deep: [{ er: new Map([["est", secret]]) }] }).pipe(Effect.annotateLogs(secret))
        )
        assert.notInclude(JSON.stringify(line), canary, key)
        assert.strictEqual(line[key], "[redacted]")
      }
    }))

  it.effect("LG2: keys that only resemble secret ones are written", () =>
    Effect.gen(function*() {
      const harmless = {
        tokens: 12,
        max_tokens: 3,
        prompt_tokens: 4,
        spinning: true,
        author: "ada",
        keyboard: "qwerty"
      }
      assert.deepInclude(yield* one(Effect.logInfo("a", harmless)), harmless)
    }))

  it.effect("LG2: texts that look like secrets are not written, wherever they stand", () =>
    Effect.gen(function*() {
      const secrets = [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-1234567890-abcdef",
        "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
      ]
      for (const secret of secrets) {
        const places = [
          secret,
          `key ${secret}, see`,
          { a: [secret] },
          new Error(`bad ${secret}`),
          new Map([[secret, 1]])
        ]
        for (const place of places) {
          const line = yield* one(Effect.logError("a", place, { place }).pipe(Effect.annotateLogs("b", place)))
          assert.notInclude(JSON.stringify(line), secret)
        }
      }
    }))

  it.effect("LG2: nor are the values in a text that says what they are", () =>
    Effect.gen(function*() {
      const texts = [
        `Authorization: Bearer ${canary}`,
        `{"password":"${canary}"}`,
        `https://api.example.com/?api_key=${canary}&user=ada`,
        `postgres://ada:${canary}@db.example.com/app`,
        `password = ${canary}`,
        `-----BEGIN RSA PRIVATE KEY-----\n${canary}\n-----END RSA PRIVATE KEY-----`
      ]
      for (const text of texts) {
        const line = yield* one(Effect.logInfo(text, { text }, new Error(text)))
        assert.notInclude(JSON.stringify(line), canary, text)
      }
      assert.include(JSON.stringify(yield* one(Effect.logInfo(texts[2]!))), "user=ada")
      assert.include(JSON.stringify(yield* one(Effect.logInfo(texts[3]!))), "@db.example.com/app")
    }))

  it.effect("LG2: prompts are not written unless switched on", () =>
    Effect.gen(function*() {
      const said = { prompt: "who am I", messages: ["hello"], completion: "Ada" }
      const hidden = yield* one(Effect.logInfo("chat", said))
      assert.deepInclude(hidden, { prompt: "[prompt]", messages: "[prompt]", completion: "[prompt]" })
      assert.deepInclude(yield* one(Effect.logInfo("chat", said), { redact: { prompts: true } }), said)
    }))

  it.effect("LG2: a program adds keys and shapes of its own", () =>
    Effect.gen(function*() {
      const redact = { keys: ["Order-Number"], patterns: [/\bC-\d+/] }
      const line = yield* one(Effect.logInfo("for C-1 and C-22", { orderNumber: 7 }), { redact })
      assert.deepInclude(line, { msg: "for [redacted] and [redacted]", orderNumber: "[redacted]" })
    }))

  it.effect("LG2: Effect's redacted values stay redacted", () =>
    Effect.gen(function*() {
      const line = yield* one(Effect.logInfo("a", { value: Redacted.make(canary) }))
      assert.strictEqual(line["value"], "[redacted]")
    }))
})

describe("a strange value", () => {
  it.effect("LG1: is written as well as it can be", () =>
    Effect.gen(function*() {
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      const deep = Array.from({ length: 50 }).reduce<unknown>((inner) => ({ inner }), "end")
      const line = yield* one(Effect.logInfo("a", {
        circle,
        deep,
        big: 10n,
        nan: NaN,
        symbol: Symbol("s"),
        nothing: undefined,
        none: null,
        bytes: new Uint8Array(3),
        set: new Set([1, 2]),
        date: new Date(0),
        many: Array.from({ length: 1_000 }, () => 0),
        long: "x".repeat(100_000),
        throws: {
          get it() {
            throw new Error("no")
          }
        },
        json: {
          toJSON() {
            throw new Error("no")
          }
        }
      }))
      assert.deepInclude(line, {
        circle: { self: "[circular]" },
        big: "10",
        nan: "NaN",
        symbol: "Symbol(s)",
        none: null,
        bytes: "[3 bytes]",
        set: [1, 2],
        date: "1970-01-01T00:00:00.000Z",
        throws: "[unreadable]",
        json: "[unreadable]"
      })
      assert.isBelow(JSON.stringify(line).length, 40_000)
    }))
})

describe("Logging.layerSignals", () => {
  it.effect("writes what policies say, in their category, with the request's fields", () =>
    Effect.gen(function*() {
      const call = Retry.retry(Effect.fail(fault("Transient")), Retry.backoff({ base: 1, times: 1, jitter: "none" }), {
        name: "weather"
      })
      const program = Effect.gen(function*() {
        yield* Effect.forkChild(Effect.exit(call))
        yield* TestClock.adjust("1 second")
        yield* Signal.emit({
          _tag: "CircuitTransition",
          name: "openai",
          key: "",
          from: "Closed",
          to: "Open",
          reason: "rate",
          openFor: Duration.seconds(30)
        })
        yield* Signal.emit({ _tag: "CallPermitted", name: "openai", key: "", state: "Closed" })
      }).pipe(
        Effect.annotateLogs("request_id", "r-1"),
        Effect.withParentSpan(span),
        Effect.provide(Logging.layerSignals)
      )
      const lines = yield* logged(program, { sample: 1 })
      assert.deepStrictEqual(lines.map(({ level, signal }) => [level, signal]), [
        ["DEBUG", "RetryScheduled"],
        ["WARN", "CircuitTransition"]
      ])
      for (const line of lines) {
        assert.deepInclude(line, { logger: "resilience", request_id: "r-1", trace_id: span.traceId })
      }
      assert.deepInclude(lines[1], { openFor_ms: 30_000, to: "Open", msg: "circuit openai is Open" })
    }))
})

describe("Logging.layerJsonConfig", () => {
  it.effect("takes its options from Config, and refuses wrong ones as a ConfigError", () =>
    Effect.gen(function*() {
      const { ConfigProvider, Config } = yield* Effect.promise(() => import("effect"))
      const layer = Logging.layerJsonConfig({
        service: Config.String("SERVICE"),
        version: Config.String("VERSION"),
        sample: Config.Number("SAMPLE")
      })
      const withSample = (SAMPLE: string) =>
        Effect.exit(Effect.void.pipe(
          Effect.provide(Layer.fresh(layer)),
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromUnknown({ SERVICE: "a", VERSION: "b", SAMPLE })
          )
        ))
      assert.strictEqual((yield* withSample("0.5"))._tag, "Success")
      assert.match(String(yield* withSample("2")), /sample\.debug must be a number from 0 to 1, got 2/)
    }))
})
