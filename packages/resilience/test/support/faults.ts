/** Errors of a chosen kind, and effects that fail with them in turn. */
import * as Failure from "effect-resilience/Failure"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"

/** An error that is of the given kind and no other. */
export class Fault extends Data.TaggedError("Fault")<{
  readonly kind: Failure.Kind
  readonly retryAfter?: Duration.Duration
}> {
  [Failure.symbol](): Failure.Info {
    const { kind, retryAfter } = this
    return { kind, retryAfter, scope: "dependency", message: `a ${kind} fault` }
  }
}

export const fault = (kind: Failure.Kind, retryAfter?: Duration.Input): Fault =>
  new Fault({ kind, ...(retryAfter === undefined ? {} : { retryAfter: Duration.fromInputUnsafe(retryAfter) }) })

/** Fails with each of the errors in turn, then succeeds; tells when it was started, in milliseconds of the clock. */
export const failing = <E>(...errors: ReadonlyArray<E>) => {
  const starts: Array<number> = []
  const effect: Effect.Effect<string, E> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    starts.push(now)
    const error = errors[starts.length - 1]
    return error === undefined ? Effect.succeed("done") : Effect.fail(error)
  })
  return { effect, starts }
}

/** Runs an effect to its end, with all the virtual time that it wants. */
export const finish = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(self)
    yield* TestClock.adjust("400 days")
    return yield* Fiber.await(fiber)
  })
