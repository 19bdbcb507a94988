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

type InTurn<A, E, R> = ReadonlyArray<readonly [name: string, effect: Effect.Effect<A, E, R>]>

const inTurn = <A, E, R>(
  name: string,
  entries: InTurn<A, E, R>
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
    return yield* withoutStack(() => new FallbackExhausted({ chain: name, attempts, skipped: [] }))
  })

/**
 * Replies in place of a reply: the first of these effects that does not fail, whatever the ones before it failed with.
 *
 * Where routes are ways to the same answer, these are answers of falling worth: a model's, a kept one, a canned one. All are of
 * the types that the caller can live with. Defects and interruptions are not caught. It emits the same signal as a chain.
 *
 * **Example** (From a model down to an apology)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { FallbackChain } from "effect-resilience"
 *
 * const canned = FallbackChain.patterns([[/\b(hi|hello)\b/i, "Hello! What can I do for you?"]])
 * const reply = (text: string) =>
 *   FallbackChain.effects("replies", [
 *     ["model", Effect.fail("down")],
 *     ["canned", canned(text)],
 *     ["apology", Effect.succeed("I cannot answer just now.")]
 *   ])
 *
 * await Effect.runPromise(reply("Hello there")) // => "Hello! What can I do for you?"
 * await Effect.runPromise(reply("Why?")) // => "I cannot answer just now."
 * ```
 *
 * @category response fallbacks
 * @since 0.1.0
 */
export const effects = <const Entries extends InTurn<unknown, unknown, unknown>>(
  name: string,
  entries: Entries
): Effect.Effect<
  Effect.Success<Entries[number][1]>,
  FallbackExhausted,
  Effect.Services<Entries[number][1]>
> => Effect.map(effectsServed(name, entries), ([value]) => value)

/**
 * {@link effects}, and which one it was.
 *
 * @category response fallbacks
 * @since 0.1.0
 */
export const effectsServed = <const Entries extends InTurn<unknown, unknown, unknown>>(
  name: string,
  entries: Entries
): Effect.Effect<
  readonly [Effect.Success<Entries[number][1]>, Served],
  FallbackExhausted,
  Effect.Services<Entries[number][1]>
> =>
  inTurn(
    name,
    // What all entries have in common is what the list's type says of each.
    entries as unknown as InTurn<
      Effect.Success<Entries[number][1]>,
      unknown,
      Effect.Services<Entries[number][1]>
    >
  )

/** A text is looked at up to this length: what comes later does not make a reply to it any better, only later. */
const longest = 10_000

/**
 * Canned replies: the one of the first pattern that a text matches. A reply may be made of what matched. Fails with
 * {@link NoPatternMatched}.
 *
 * It looks at the first 10,000 characters. A pattern with nested repetitions can still take long over those: keep them simple.
 *
 * @category response fallbacks
 * @since 0.1.0
 */
export const patterns = (
  rules: ReadonlyArray<readonly [pattern: RegExp, reply: string | ((match: RegExpExecArray) => string)]>
): (text: string) => Effect.Effect<string, NoPatternMatched> => {
  // `g` and `y` make an expression remember where it stopped, which would be in somebody else's text.
  const stateless = rules.map(([pattern, reply]) =>
    [new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")), reply] as const
  )
  return (text) =>
    Effect.suspend(() => {
      const beginning = text.slice(0, longest)
      for (const [pattern, reply] of stateless) {
        const match = pattern.exec(beginning)
        if (match !== null) return Effect.succeed(typeof reply === "string" ? reply : reply(match))
      }
      return Effect.fail(withoutStack(() => new NoPatternMatched({ patterns: stateless.length })))
    })
}
