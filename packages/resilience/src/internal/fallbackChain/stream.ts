/** Running a stream along a chain. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Engine } from "./engine.ts"
import type { Attempt, FallbackExhausted } from "./errors.ts"
import type { Request } from "./route.ts"
import { failureOf, guarded, now, provided } from "./run.ts"

/** What to do when a route fails after its first element. */
export type MidStream<A, E, R> =
  | { readonly _tag: "fail" }
  | { readonly _tag: "restart"; readonly restarted: (attempt: Attempt) => A }
  | { readonly _tag: "continue"; readonly resume: (emitted: ReadonlyArray<A>) => Stream.Stream<A, E, R> }

type Elements<A> = Arr.NonEmptyReadonlyArray<A>

/** A route that has begun to answer. */
interface Open<State, A, E, R> {
  readonly state: State
  readonly scope: Scope.Closeable
  readonly started: number
  readonly latency: number
  readonly pull: Pull.Pull<Elements<A>, E, void, R>
  /** What it said until its first content, and whether that was all. */
  readonly first: ReadonlyArray<A>
  readonly ended: boolean
}

export const stream = <Provides, RE, Builds, RR, A, E, R>(
  engine: Engine<Provides, RE, Builds, RR>,
  self: Stream.Stream<A, E, R>,
  request: Request,
  options: { readonly midStream: MidStream<A, E, R>; readonly isContent: (element: A) => boolean }
): Stream.Stream<A, E | RE | FallbackExhausted, Exclude<R, Provides> | RR> => {
  type State = Engine<Provides, RE, Builds, RR>["states"][number]
  type Current = Open<State, A, E, Exclude<R, Provides>>
  const { isContent, midStream } = options

  /** Pulls until there is content. What comes before can still be dropped for another route. */
  const untilContent = <E2, R2>(
    pull: Pull.Pull<Elements<A>, E2, void, R2>,
    first: Array<A>
  ): Effect.Effect<boolean, E2, R2> =>
    Pull.matchEffect(pull, {
      onSuccess: (elements) => {
        first.push(...elements)
        return elements.some(isContent) ? Effect.succeed(false) : untilContent(pull, first)
      },
      onFailure: Effect.failCause,
      onDone: () => Effect.succeed(true)
    })

  const begin = (outer: Scope.Scope, state: State, source: Stream.Stream<A, E, R>) =>
    guarded(
      state,
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const started = yield* now
          const scope = yield* Scope.fork(outer)
          const opening = Effect.gen(function*() {
            const context = yield* state.context
            const onRoute = engine.onRoute(state)
            const inner = yield* provided(Channel.toPullScoped(Stream.toChannel(source), scope), context, onRoute)
            const pull = provided(inner, context, onRoute)
            const first: Array<A> = []
            const ended = yield* untilContent(pull, first)
            return { state, scope, started, latency: (yield* now) - started, pull, first, ended }
          })
          return yield* Effect.onError(restore(opening), (cause) => Scope.close(scope, Exit.failCause(cause)))
        })
      )
    )

  const run = Effect.map(Effect.all([Effect.scope, engine.walk(request)]), ([outer, walk]) => {
    const emitted: Array<A> = []
    let source = self
    let current: Current | undefined

    /** Elements on their way out. */
    const out = (elements: ReadonlyArray<A>) => {
      if (midStream._tag === "continue") emitted.push(...elements)
      return elements
    }

    const end = (open: Current) =>
      Effect.andThen(
        Effect.sync(() => engine.answered(open.state, open.started, open.latency)),
        Effect.andThen(Scope.close(open.scope, Exit.void), Cause.done())
      )

    /** The first elements of the next route that has some. */
    const open: Pull.Pull<Elements<A>, E | RE | FallbackExhausted, void, Exclude<R, Provides> | RR> = Effect.gen(
      function*() {
        while (true) {
          const state = yield* engine.next(walk)
          const started = yield* now
          const exit = yield* Effect.exit(begin(outer, state, source))
          if (Exit.isSuccess(exit)) {
            const opened = exit.value
            current = opened
            yield* Effect.withFiber((fiber) => Effect.sync(() => engine.served(fiber, walk, state)))
            const first = out(opened.first)
            if (Arr.isReadonlyArrayNonEmpty(first)) return first
            // Nothing at all is an answer too.
            return yield* end(opened)
          }
          const error = failureOf(exit.cause)
          if (Option.isNone(error)) return yield* Effect.failCause(exit.cause)
          if (!(yield* engine.failed(walk, state, started, error.value))) return yield* Effect.failCause(exit.cause)
        }
      }
    )

    const broke = (
      { scope, started, state }: Current,
      cause: Cause.Cause<E>
    ): Pull.Pull<Elements<A>, E | RE | FallbackExhausted, void, Exclude<R, Provides> | RR> =>
      Effect.gen(function*() {
        current = undefined
        yield* Scope.close(scope, Exit.failCause(cause))
        const error = failureOf(cause)
        if (Option.isNone(error)) return yield* Effect.failCause(cause)
        const mayGoOn = yield* engine.failed(walk, state, started, error.value)
        if (!mayGoOn || midStream._tag === "fail") return yield* Effect.failCause(cause)
        if (midStream._tag === "restart") return [midStream.restarted(walk.attempts.at(-1)!)]
        source = midStream.resume(emitted.slice())
        return yield* open
      })

    return Effect.suspend(() => {
      const answering = current
      if (answering === undefined) return open
      if (answering.ended) return end(answering)
      return Pull.matchEffect(answering.pull, {
        onSuccess: (elements) => {
          out(elements)
          return Effect.succeed(elements)
        },
        onFailure: (cause) => broke(answering, cause),
        onDone: () => end(answering)
      })
    })
  })
  return Stream.scoped(Stream.fromPull(run))
}
