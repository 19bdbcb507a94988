/** Answers that had come in time, to a process that was too busy to look. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { Worker } from "node:worker_threads"
import { answerWithin } from "../src/internal/answerWithin.ts"

const millis = 50

/** Somebody elsewhere who answers at once, whatever this thread does. */
const echo = Effect.acquireRelease(
  Effect.promise(() => {
    const source =
      "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))"
    const worker = new Worker(source, { eval: true })
    return new Promise<Worker>((resolve) => worker.once("online", () => resolve(worker)))
  }),
  (worker) => Effect.promise(() => worker.terminate())
)

const ask = (worker: Worker) =>
  Effect.callback<string>((resume) => {
    const heard = (message: string) => resume(Effect.succeed(message))
    worker.once("message", heard)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows; a thread has no origin
    worker.postMessage("answer")
    return Effect.sync(() => worker.off("message", heard))
  })

/** Keeps this thread from everything else for longer than answers may take, as work does that is scheduled: timers come next. */
const busy = Effect.andThen(
  Effect.yieldNow,
  Effect.sync(() => {
    const end = performance.now() + 4 * millis
    while (performance.now() < end);
  })
)

const askedByABusyThread = <A>(wait: (answer: Effect.Effect<string>) => Effect.Effect<A>) =>
  Effect.gen(function*() {
    const worker = yield* echo
    // Once before, so that it is known to be awake.
    yield* ask(worker)
    const waiting = yield* Effect.forkChild(wait(ask(worker)), { startImmediately: true })
    yield* busy
    return yield* Fiber.join(waiting)
  }).pipe(Effect.scoped)

describe("answerWithin", () => {
  it.live("takes an answer that had come while this process was busy, which a time-out alone does not", () =>
    Effect.gen(function*() {
      expect(yield* askedByABusyThread((answer) => answerWithin(answer, millis, Effect.succeed("none")))).toBe("answer")
      const plain = yield* askedByABusyThread((answer) => Effect.timeoutOption(answer, millis))
      expect(plain).toEqual(Option.none())
    }))

  it.effect("does without one that does not come, where nobody may be interrupted too", () =>
    Effect.gen(function*() {
      for (const within of [Effect.interruptible, Effect.uninterruptible]) {
        const waiting = yield* Effect.forkChild(within(answerWithin(Effect.never, millis, Effect.succeed("none"))), {
          startImmediately: true
        })
        yield* TestClock.adjust(millis - 1)
        expect(waiting.pollUnsafe()).toBe(undefined)
        yield* TestClock.adjust(1)
        expect(yield* Fiber.join(waiting)).toBe("none")
      }
    }))

  it.effect("has an answer as soon as it comes, and a failure too", () =>
    Effect.gen(function*() {
      const within = <A, E>(answer: Effect.Effect<A, E>) =>
        Effect.uninterruptible(answerWithin(answer, millis, Effect.succeed("none")))
      expect(yield* within(Effect.succeed(1))).toBe(1)
      expect(yield* Effect.flip(within(Effect.fail("refused")))).toBe("refused")
    }))
})
