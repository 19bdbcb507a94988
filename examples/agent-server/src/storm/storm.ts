/** A storm, from its plan to its verdict. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { Far } from "../cli/Output.ts"
import * as Aftermath from "./aftermath.ts"
import * as Balancer from "./Balancer.ts"
import * as Load from "./load.ts"
import type { Plan } from "./plan.ts"
import * as Script from "./script.ts"
import { judge, type Verdict } from "./verdict.ts"
import type { NoWorld, World } from "./world.ts"

/** How a storm is carried out. */
export interface Options {
  readonly concurrency: number
  readonly onProgress: (far: Far) => Effect.Effect<void>
}

/** Lets a storm come over a world. */
export const run = (
  world: World,
  plan: Plan,
  { concurrency, onProgress }: Options
): Effect.Effect<Verdict, NoWorld, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const balancer = yield* Balancer.make(world.instances)
    const script = yield* Script.make(world, balancer)
    // A server that is not ours is not left broken, however this ends.
    yield* Effect.addFinalizer(() => script.mend)
    const began = yield* Clock.currentTimeMillis
    const outcomes = yield* Load.run(plan, {
      clients: { balancer, apiKey: world.apiKey, prefix: `storm-${began}` },
      concurrency,
      play: script.play,
      onDone: (done) => onProgress({ done, total: plan.chats.length, note: "chats" })
    })
    const millis = (yield* Clock.currentTimeMillis) - began
    const { closedBooks, ...played } = yield* script.end
    const letters = yield* Aftermath.redrive(world, balancer)
    const books = yield* Aftermath.books(world, balancer, closedBooks)
    const sessions = yield* Aftermath.sessions(world, balancer, outcomes)
    return judge({ plan, outcomes, sessions, letters, books, millis, ...played })
  }).pipe(Effect.scoped)
