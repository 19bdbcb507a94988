import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as Aead from "effect/crypto/Aead"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { dump, outcomes } from "./support/deadLetters.ts"

const Payment = Schema.Struct({
  amount: Schema.Int,
  note: Schema.String,
  card: Schema.Struct({ number: Schema.String })
})

const canary = "canary-4929f00dcafe"
const payment = { amount: 12, note: `see ${canary} here`, card: { number: "4929 0000 0000 0000" } }

const test = Effect.provide(DeadLetterQueue.layerStoreMemory)

describe("redaction", () => {
  it.effect("DL-10 a canary is in no store, signal, metric, log or error text", () => {
    const seen: Array<string> = []
    const listen = Signal.layer((signal) => seen.push(JSON.stringify(signal)))
    const logger = Logger.layer([
      Logger.make(({ cause, message }) => {
        seen.push(`${JSON.stringify(message)} ${Cause.pretty(cause)}`)
      })
    ])
    return Effect.gen(function*() {
      const queue = yield* DeadLetterQueue.make({
        name: "orders",
        schema: Payment,
        redact: { keys: ["cardNumber", "number"], patterns: [/canary-[0-9a-z]+/] },
        retention: { size: 3, onEvict: ({ line }) => Effect.sync(() => seen.push(line)) },
        maxRedrives: 2
      })
      const fault = new Error(`refused ${canary}`, { cause: new Error(`token ${canary} ${canary} expired`) })
      const id = yield* queue.offer(payment, {
        error: fault,
        attempts: [{ error: fault }],
        dedupeKey: `pay ${canary}`,
        headers: { "card-number": "4929", "x-trace": canary }
      })
      yield* outcomes(queue.redrive({}, () => Effect.fail(fault)))
      seen.push(JSON.stringify(yield* Stream.runCollect(queue.redrive({}, () => Effect.die(fault)))))
      seen.push(JSON.stringify(yield* queue.get(id)))
      yield* queue.release([id])
      yield* queue.edit(id, (old) => ({ ...old, note: canary }))
      seen.push(yield* Stream.mkString(queue.export()))
      seen.push((yield* Effect.flip(queue.offer({ ...payment, amount: 0.5 }, { error: fault }))).message)
      seen.push(JSON.stringify(yield* queue.report))
      seen.push(yield* dump)
      for (let i = 0; i < 5; i++) yield* queue.offer(payment, { error: fault })
      seen.push(JSON.stringify(yield* Metric.snapshot))
      const everything = seen.join("\n")
      assert.notInclude(everything, canary)
      assert.notInclude(everything, "4929")
      assert.include(everything, "refused [redacted]")
      const letter = yield* queue.get((yield* queue.list()).letters[0]!.id)
      assert.deepStrictEqual(
        letter.payload,
        Result.succeed({ amount: 12, note: "see [redacted] here", card: { number: "[redacted]" } })
      )
    }).pipe(test, Effect.provide(Layer.merge(listen, logger)))
  })

  it.effect("DL-10 headers and failures lose what looks like a secret without being told", () =>
    Effect.gen(function*() {
      const queue = yield* DeadLetterQueue.make({ name: "orders", schema: Schema.String })
      const id = yield* queue.offer("token abc stays: it is the work", {
        error: new Error(
          `POST https://ann:hunter2@example.org/v1 {"password":"hunter2","to":"bob"} Authorization: Bearer abcdefghijkl sk-abcdefgh12`
        ),
        headers: { Authorization: "Bearer xyz", "X-Api-Key": "xyz", "request-id": "r1" }
      })
      const { causes, failure, headers, raw } = yield* queue.get(id)
      assert.deepStrictEqual(headers, {
        Authorization: "[redacted]",
        "X-Api-Key": "[redacted]",
        "request-id": "r1"
      })
      for (const text of [failure.message, causes[0] ?? ""]) {
        assert.notMatch(text, /hunter2|abcdefgh/)
        assert.match(text, /"to":"bob"/)
      }
      assert.strictEqual(raw, `"token abc stays: it is the work"`)
    }).pipe(test))

  it.effect("changes the payload as told", () =>
    Effect.gen(function*() {
      const queue = yield* DeadLetterQueue.make({
        name: "orders",
        schema: Payment,
        redact: { payload: (payment) => ({ ...payment, card: { number: payment.card.number.slice(-4) } }) }
      })
      const id = yield* queue.offer(payment, { error: "down" })
      assert.deepStrictEqual(Result.getOrThrow((yield* queue.get(id)).payload).card, { number: "0000" })
    }).pipe(test))
})

describe("encryption", () => {
  const crypto = Aead.layerWebCrypto.pipe(Layer.provideMerge(SecureRandom.layerWebCrypto))
  const encrypted = Effect.provide(Layer.merge(DeadLetterQueue.layerStoreMemory, crypto))
  const newKey = Effect.flatMap(Aead.Aead, (aead) => aead.generateKey(Aead.aes256Gcm))

  const queueWith = (keys: Readonly<Record<string, Aead.Key>>, current: string) =>
    Effect.flatMap(
      DeadLetterQueue.encryption({ keys, current }),
      (encrypt) => DeadLetterQueue.make({ name: "orders", schema: Payment, encrypt })
    )

  it.effect("DL-10 the contents are sealed, the metadata stays searchable", () =>
    Effect.gen(function*() {
      const queue = yield* queueWith({ a: yield* newKey }, "a")
      const id = yield* queue.offer(payment, {
        error: new Error("no route", { cause: new Error("deep secret") }),
        headers: { tenant: "acme" }
      })
      const stored = yield* dump
      for (const hidden of [canary, "4929", "deep secret", "acme"]) assert.notInclude(stored, hidden)
      const { fingerprint } = (yield* queue.list()).letters[0]!
      assert.strictEqual(yield* queue.count({ fingerprint, kind: "Permanent" }), 1)
      assert.include(JSON.stringify(yield* queue.report), "no route")
      const letter = yield* queue.get(id)
      assert.deepStrictEqual(letter.payload, Result.succeed(payment))
      assert.deepStrictEqual(letter.headers, { tenant: "acme" })
    }).pipe(encrypted))

  it.effect("DL-10 rotating the key keeps old letters readable; a letter that is edited gets the new one", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* newKey, yield* newKey]
      const before = yield* queueWith({ a }, "a")
      const [first, second] = [
        yield* before.offer(payment, { error: "down" }),
        yield* before.offer(payment, { error: "down" })
      ]
      const both = yield* queueWith({ a, b }, "b")
      const third = yield* both.offer(payment, { error: "down" })
      yield* both.edit(second, (old) => old)
      for (const id of [first, second, third]) {
        assert.deepStrictEqual((yield* both.get(id)).payload, Result.succeed(payment))
      }
      const after = yield* queueWith({ b }, "b")
      assert.deepStrictEqual(yield* outcomes(after.redrive({}, () => Effect.void)), [
        "givenBack",
        "redriven",
        "redriven"
      ])
      const missing = yield* after.get(first)
      assert.deepInclude(missing, { state: "Dead", attempts: { delivered: 0, interrupted: 0, crashed: 0 } })
      assert.strictEqual(Result.isFailure(missing.payload) && missing.payload.failure.reason, "KeyMissing")
      assert.deepStrictEqual(yield* outcomes(both.redrive([first], () => Effect.void)), ["redriven"])
    }).pipe(encrypted))

  it.effect("what was changed since it was sealed, or put under another id, is quarantined", () =>
    Effect.gen(function*() {
      const queue = yield* queueWith({ a: yield* newKey }, "a")
      const store = yield* DeadLetterQueue.DeadLetterStore
      const [x, y] = [yield* queue.offer(payment, { error: "1" }), yield* queue.offer(payment, { error: "2" })]
      const rows = [(yield* store.get("orders", x))!, (yield* store.get("orders", y))!] as const
      yield* store.replace({ ...rows[0], body: rows[1].body }, 1)
      yield* store.replace({
        ...rows[1],
        body: rows[1].body.replace(/"data":"(.)/, (_, c) => `"data":"${c === "A" ? "B" : "A"}`)
      }, 1)
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), ["quarantined", "quarantined"])
      const opened = yield* queue.get(x)
      assert.strictEqual(Result.isFailure(opened.payload) && opened.payload.failure.reason, "Tampered")
    }).pipe(encrypted))

  it.effect("exported letters stay sealed, and can be imported where the key is", () =>
    Effect.gen(function*() {
      const key = yield* newKey
      const queue = yield* queueWith({ a: key }, "a")
      const id = yield* queue.offer(payment, { error: "down" })
      const lines = yield* Stream.mkString(queue.export())
      assert.notInclude(lines, canary)
      const encrypt = yield* DeadLetterQueue.encryption({ keys: { a: key }, current: "a" })
      const other = yield* DeadLetterQueue.make({ name: "other", schema: Payment, encrypt })
      assert.deepInclude(yield* other.import(Stream.make(lines)), { imported: 1 })
      assert.deepStrictEqual((yield* other.get(id)).payload, Result.succeed(payment))
    }).pipe(encrypted))

  it("a current key that is not among the keys is refused", () => {
    assert.throws(() => DeadLetterQueue.encryption({ keys: {}, current: "a" }), RangeError, /^current must be one of/)
  })
})
