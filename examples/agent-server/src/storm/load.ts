/** The clients: chats begin in their order, at their pace, so many at once. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Client from "./client.ts"
import type { Chat, Plan, Step } from "./plan.ts"

/** How the plan is carried out. */
export interface Options<E, R> {
  readonly clients: Client.Clients
  /** How many chats are under way at once, at most. */
  readonly concurrency: number
  /** Does a step, before the chat that it comes before begins. */
  readonly play: (step: Step) => Effect.Effect<void, E, R>
  readonly onDone: (done: number) => Effect.Effect<void>
}

const sessionOf = ({ result }: Client.Outcome): string | undefined =>
  result._tag === "Answered" ? result.sessionId : undefined

/** Carries the plan out, and ends with what became of each chat, in the plan's order. */
export const run = <E, R>(
  plan: Plan,
  { clients, concurrency, onDone, play }: Options<E, R>
): Effect.Effect<ReadonlyArray<Client.Outcome>, E, R | HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const outcomes: Array<Client.Outcome> = []
    const sessions = plan.chats.map(() => Deferred.makeUnsafe<string | undefined>())
    const permits = yield* Semaphore.make(concurrency)
    const fibers = yield* FiberSet.make<void>()
    let done = 0

    const have = (chat: Chat, ended: Deferred.Deferred<string | undefined>) =>
      Effect.gen(function*() {
        // Chats begin in order, so the one before this is over or under way.
        const before = chat.after === undefined ? undefined : sessions[chat.after]
        const sessionId = before === undefined ? undefined : yield* Deferred.await(before)
        const outcome = yield* Client.run(clients, chat, sessionId)
        outcomes[chat.index] = outcome
        yield* Deferred.succeed(ended, sessionOf(outcome))
        yield* onDone(++done)
      }).pipe(Effect.ensuring(permits.release(1)))

    const began = yield* Clock.currentTimeMillis
    let next = 0
    for (const [index, ended] of sessions.entries()) {
      const chat = plan.chats[index]
      if (chat === undefined) continue
      const early = began + index * 1000 / plan.perSecond - (yield* Clock.currentTimeMillis)
      if (early > 0) yield* Effect.sleep(early)
      if (index === plan.squall) yield* FiberSet.awaitEmpty(fibers)
      for (; plan.script[next] !== undefined && (plan.script[next]?.before ?? 0) <= index; next++) {
        const scheduled = plan.script[next]
        if (scheduled !== undefined) yield* play(scheduled.step)
      }
      yield* permits.take(1)
      yield* FiberSet.run(fibers, have(chat, ended))
    }
    yield* FiberSet.awaitEmpty(fibers)
    return outcomes
  })
