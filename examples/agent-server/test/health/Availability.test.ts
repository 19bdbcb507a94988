/** What is known to be away is passed over by whoever asks. */
import { describe, expect, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Availability from "../../src/health/Availability.ts"
import * as Health from "../../src/health/Health.ts"
import * as Policies from "../support/policies.ts"

const tell = (name: string, up: boolean) =>
  Effect.flatMap(Availability.Availability, (availability) => availability.tell(name, up))

/** How it is now. */
const isUp = (name: string) => Effect.map(Stream.runHead(Availability.changes(name)), Option.getOrThrow)

describe("Availability", () => {
  it.effect("counts everything as up that it has not been told of, and without a layer everything", () =>
    Effect.gen(function*() {
      yield* tell("llm", false)
      expect(yield* isUp("llm")).toBe(true)
      yield* Effect.gen(function*() {
        yield* tell("llm", false)
        expect([yield* isUp("llm"), yield* isUp("tts")]).toEqual([false, true])
        yield* tell("llm", true)
        expect(yield* isUp("llm")).toBe(true)
      }).pipe(Effect.provide(Availability.layer))
    }))

  it.effect("tells each change of one name once, beginning with how it is", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(Availability.changes("llm"), 3)), {
        startImmediately: true
      })
      for (
        const [name, up] of [["tts", false], ["llm", false], ["tts", true], ["llm", false], ["llm", true]] as const
      ) {
        yield* tell(name, up)
        yield* Effect.yieldNow
      }
      expect(yield* Fiber.join(seen)).toEqual([true, false, true])
    }).pipe(Effect.provide(Availability.layer)))

  it.effect("HP7 follows the checks: away with the third failure, back when it is healthy again", () =>
    Effect.gen(function*() {
      const well = yield* Ref.make(true)
      const dependency = {
        name: "llm",
        url: "http://llm.test/",
        probe: Effect.flatMap(Ref.get(well), (is) => is ? Effect.void : Effect.fail("no"))
      }
      yield* Effect.gen(function*() {
        yield* HealthProbes.waitUntilReady
        yield* Ref.set(well, false)
        yield* TestClock.adjust("20 seconds")
        expect(yield* isUp("llm")).toBe(true)
        yield* TestClock.adjust("10 seconds")
        expect(yield* isUp("llm")).toBe(false)
        expect((yield* HealthProbes.live).ok).toBe(true)
        yield* Ref.set(well, true)
        yield* TestClock.adjust("30 seconds")
        expect(yield* isUp("llm")).toBe(true)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(Health.layer([dependency]), Policies.layerWith({ healthInterval: Duration.seconds(10) }))
        )
      )
    }).pipe(Effect.provide(Availability.layer)))

  it.effect("opens a breaker that was declared before anything was known, and lets it probe when it is back", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "llm",
        trip: CircuitBreaker.consecutive(5),
        health: () => Availability.changes("llm")
      })
      const call = Effect.as(Effect.result(breaker.protect(Effect.void)), undefined)
      yield* call
      yield* tell("llm", false)
      yield* TestClock.adjust("1 milli")
      expect(yield* breaker.state()).toBe("Open")
      yield* tell("llm", true)
      yield* TestClock.adjust("1 milli")
      yield* call
      expect(yield* breaker.state()).toBe("Closed")
    }).pipe(
      Effect.provide([CircuitBreaker.layerStoreMemory, Availability.layer]),
      Effect.scoped
    ))
})
