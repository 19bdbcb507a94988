/** Who interrupts whom. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as BargeIns from "../../src/voice/BargeIns.ts"

/** A turn that says when it begins and ends, and does not end by itself. */
const endless = (name: string, log: Array<string>) => (interrupted: boolean) =>
  Effect.sync(() => log.push(`${name} begins${interrupted ? ", interrupting" : ""}`)).pipe(
    Effect.andThen(Effect.never),
    Effect.ensuring(Effect.andThen(Effect.yieldNow, Effect.sync(() => log.push(`${name} ends`))))
  )

const quick = (name: string, log: Array<string>) => (interrupted: boolean) =>
  Effect.sync(() => {
    log.push(`${name} begins${interrupted ? ", interrupting" : ""}`)
    return name
  })

const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

describe("a newer turn of a session", () => {
  it.effect("interrupts the older one, and begins when that has ended", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const bargeIns = BargeIns.make()
      const first = yield* Effect.forkChild(bargeIns.newest("s")(endless("first", log)))
      yield* settle
      expect(bargeIns.isRunning("s")).toBe(true)
      expect(yield* bargeIns.newest("s")(quick("second", log))).toBe("second")
      expect((yield* Effect.flip(Fiber.join(first)))._tag).toBe("BargedIn")
      expect(log).toEqual(["first begins", "first ends", "second begins, interrupting"])
      expect(bargeIns.isRunning("s")).toBe(false)
      // Nothing is left to interrupt.
      yield* bargeIns.newest("s")(quick("third", log))
      expect(log.at(-1)).toBe("third begins")
    }))

  it.effect("leaves those of other sessions alone", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const bargeIns = BargeIns.make()
      const first = yield* Effect.forkChild(bargeIns.newest("s")(endless("first", log)))
      yield* settle
      yield* bargeIns.newest("t")(quick("other", log))
      expect(log).toEqual(["first begins", "other begins"])
      yield* Fiber.interrupt(first)
      expect(bargeIns.isRunning("s")).toBe(false)
    }))

  it.effect("is interrupted while it still waits for the end of the one before it, and that one is waited for", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const bargeIns = BargeIns.make()
      const mayEnd = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        bargeIns.newest("s")(() => Effect.ensuring(Effect.never, Deferred.await(mayEnd)))
      )
      yield* settle
      const second = yield* Effect.forkChild(bargeIns.newest("s")(endless("second", log)))
      yield* settle
      const third = yield* Effect.forkChild(bargeIns.newest("s")(quick("third", log)))
      yield* settle
      expect(log).toEqual([])
      yield* Deferred.succeed(mayEnd, undefined)
      expect(yield* Fiber.join(third)).toBe("third")
      for (const fiber of [first, second]) expect((yield* Effect.flip(Fiber.join(fiber)))._tag).toBe("BargedIn")
      expect(log).toEqual(["third begins, interrupting"])
    }))

  it.effect("of many at once is the last one, and nothing is left behind", () =>
    Effect.gen(function*() {
      const bargeIns = BargeIns.make()
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }, (_, index) => index), (index) =>
        Effect.forkChild(bargeIns.newest("s")(() => Effect.as(settle, index))))
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      expect(
        exits.filter(Exit.isSuccess).map(({ value }) =>
          value
        )
      ).toEqual([49])
      expect(bargeIns.isRunning("s")).toBe(false)
    }))
})
