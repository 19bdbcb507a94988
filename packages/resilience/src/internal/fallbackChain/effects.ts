/** Replies in place of a reply: one effect after the other, whatever the one before failed with. */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Failure from "../../Failure.ts"
import { withoutStack } from "../withoutStack.ts"
import { type Served, tell } from "./engine.ts"
import { type Attempt, attemptOf, FallbackExhausted, NoPatternMatched } from "./errors.ts"
import { failureOf, now } from "./run.ts"

export type Entries<A, E, R> = ReadonlyArray<readonly [name: string, effect: Effect.Effect<A, E, R>]>

export const effectsServed = <A, E, R>(
  name: string,
  entries: Entries<A, E, R>
): Effect.Effect<readonly [A, Served], FallbackExhausted, R> =>
  Effect.gen(function*() {
    const attempts: Array<Attempt> = []
    for (const [index, [route, effect]] of entries.entries()) {
      const started = yield* now
      const exit = yield* Effect.exit(effect)
      if (Exit.isSuccess(exit)) {
        const served = yield* Effect.withFiber((fiber) =>
          Effect.succeed(tell(fiber, { chain: name, route, index, degraded: index > 0, attempts }))
        )
        return [exit.value, served] as const
      }
      const { cause } = exit
      const error = failureOf(cause)
      // Without a typed error it is a defect or an interruption, which any effect may end with.
      if (Option.isNone(error)) return yield* Effect.failCause(cause as Cause.Cause<never>)
      const info = yield* Failure.classify(error.value)
      attempts.push(attemptOf(route, info, Duration.millis((yield* now) - started), error.value))
    }
    return yield* Effect.fail(withoutStack(() => new FallbackExhausted({ chain: name, attempts, skipped: [] })))
  })

/** A text is looked at up to this length: what comes later does not make a reply to it any better, only later. */
const longest = 10_000

export type Reply = string | ((match: RegExpExecArray) => string)

export const patterns = (rules: ReadonlyArray<readonly [RegExp, Reply]>) => {
  // `g` and `y` make an expression remember where it stopped, which would be in somebody else's text.
  const stateless = rules.map(([pattern, reply]) =>
    [new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")), reply] as const
  )
  return (text: string): Effect.Effect<string, NoPatternMatched> =>
    Effect.suspend(() => {
      const beginning = text.slice(0, longest)
      for (const [pattern, reply] of stateless) {
        const match = pattern.exec(beginning)
        if (match !== null) return Effect.succeed(typeof reply === "string" ? reply : reply(match))
      }
      return Effect.fail(withoutStack(() => new NoPatternMatched({ patterns: stateless.length })))
    })
}
