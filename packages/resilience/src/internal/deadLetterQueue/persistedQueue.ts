/** Effect's own `PersistedQueue`, with its failures kept here. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { PersistedQueueError, PersistedQueueStore } from "effect/persistence/PersistedQueue"
import * as Scope from "effect/Scope"
import type { DeadLetterQueue } from "./queue.ts"

/** The mark of an element that core could not decode, and which it would mark failed on sight. */
const undecodable = "~effect/persistence/PersistedQueue/DeadLetter"

/**
 * Core's store tells success, failure and interruption of an element by how the scope of its take is closed. So each
 * take gets a scope of its own, and an element that would be marked failed is offered here first: kept, it is closed as
 * core would; not kept, it is closed as interrupted, which leaves it in core's queue.
 */
export const around = <A>(
  letters: DeadLetterQueue<A>,
  queue: string
): Layer.Layer<PersistedQueueStore, never, PersistedQueueStore> =>
  Layer.effect(
    PersistedQueueStore,
    Effect.map(PersistedQueueStore, (store) =>
      PersistedQueueStore.of({
        ...store,
        take: (options) =>
          options.name !== queue ? store.take(options) : Effect.uninterruptibleMask((restore) =>
            Effect.gen(function*() {
              const scope = yield* Scope.make()
              const element = yield* restore(Scope.provide(store.take(options), scope)).pipe(
                Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
              )
              yield* Effect.addFinalizer((exit) =>
                isLast(exit, element.attempts, options.maxAttempts)
                  ? Effect.matchCauseEffect(keep(letters, queue, element, exit), {
                    onSuccess: () => Scope.close(scope, exit),
                    onFailure: (cause) =>
                      Effect.andThen(
                        Effect.logError(`"${queue}" keeps an element that could not be dead-lettered`, cause),
                        Scope.close(scope, Exit.interrupt())
                      )
                  })
                  : Scope.close(scope, exit)
              )
              return element
            })
          )
      }))
  )

const isLast = (
  exit: Exit.Exit<unknown, unknown>,
  attempts: number,
  maxAttempts: number
): exit is Exit.Failure<never, unknown> =>
  Exit.isFailure(exit) &&
  (isUndecodable(exit) || (attempts >= maxAttempts && !Cause.hasInterruptsOnly(exit.cause)))

const isUndecodable = (exit: Exit.Failure<unknown, unknown>): boolean =>
  exit.cause.reasons.some((reason) =>
    Cause.isFailReason(reason) && typeof reason.error === "object" && reason.error !== null && "_tag" in reason.error &&
    reason.error._tag === undecodable
  )

const keep = <A>(
  letters: DeadLetterQueue<A>,
  queue: string,
  { attempts, element, id }: { readonly id: string; readonly attempts: number; readonly element: unknown },
  exit: Exit.Failure<never, unknown>
): Effect.Effect<unknown, unknown> =>
  letters.offerJson(element, {
    ...(isUndecodable(exit)
      ? { error: new PersistedQueueError({ message: `An element of "${queue}" cannot be decoded` }) }
      : { cause: exit.cause }),
    dedupeKey: `${queue}/${id}`,
    headers: { "persisted-queue": queue, "persisted-queue-id": id, "attempts": `${attempts}` }
  })
