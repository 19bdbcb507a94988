/** Makes go wrong what the plan says, and mends it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Scope from "effect/Scope"
import type { AllFaultsPatch } from "../sim/Simulator.ts"
import type { Balancer, Member } from "./Balancer.ts"
import * as Books from "./books.ts"
import { mended } from "./mended.ts"
import * as Operator from "./Operator.ts"
import type { Step } from "./plan.ts"
import type { Done } from "./verdict.ts"
import { type NoWorld, orNoWorld, type World } from "./world.ts"

/** The running script. */
export interface Script {
  /** Does a step. A restart goes on after it. */
  readonly play: (step: Step) => Effect.Effect<void, NoWorld, HttpClient.HttpClient | Scope.Scope>
  /** Mends everything that can be reached. */
  readonly mend: Effect.Effect<void, never, HttpClient.HttpClient>
  /** Waits for the last restart, mends everything, and tells what was done. */
  readonly end: Effect.Effect<Played, NoWorld, HttpClient.HttpClient>
}

/** What the script did. */
interface Played {
  readonly outageMillis: number
  readonly redis: Done
  readonly restarts: Done
  /** The books of instances that were stopped; `undefined`: one could not be asked for its own. */
  readonly closedBooks: ReadonlyArray<ReadonlyArray<Books.Line>> | undefined
}

/** What is not done, and what of it there is to tell. */
const notRun = (why: string): Done => ({ _tag: "NotRun", why })

const noModel: AllFaultsPatch = {
  "llm-primary": { down: true },
  "llm-secondary": { down: true },
  "llm-anthropic": { down: true }
}

/** A script for this world. */
export const make = (world: World, balancer: Balancer): Effect.Effect<Script> =>
  Effect.sync(() => {
    const patches: Array<AllFaultsPatch> = []
    const closed: Array<ReadonlyArray<Books.Line>> = []
    const times = { outageBegan: 0, outageMillis: 0, redisWent: 0, redisMillis: 0 }
    let allClosed = true
    let restarted = 0
    let restarting: Fiber.Fiber<void, NoWorld> | undefined

    const operatorAt = (origin: string) => Operator.at(origin, world.adminKey)

    const change = (patch: AllFaultsPatch) =>
      Effect.gen(function*() {
        patches.push(patch)
        yield* Effect.forEach(
          balancer.members,
          ({ origin }) => Effect.flatMap(operatorAt(origin), ({ sim }) => sim.changeFaults({ payload: patch }))
        )
      }).pipe(orNoWorld)

    /** The new instance has the faults of the old one before anybody asks it anything. */
    const replace = (member: Member, origin: string) =>
      Effect.gen(function*() {
        const { sim } = yield* operatorAt(origin)
        yield* Effect.forEach(patches, (payload) => sim.changeFaults({ payload }))
        member.origin = origin
        yield* balancer.ready(member)
        restarted++
      }).pipe(orNoWorld)

    /** While it serves on nobody sends it anything more: then its book is what it will be. */
    const close = (member: Member) =>
      Effect.gen(function*() {
        yield* balancer.drained(member)
        closed.push(yield* Effect.flatMap(operatorAt(member.origin), Books.settled))
      }).pipe(Effect.catch(() => Effect.sync(() => allClosed = false)))

    const restart = (index: number) =>
      Effect.gen(function*() {
        const member = balancer.members[index]
        const { restarts } = world
        if (member === undefined || restarts === undefined) return
        const stopping = yield* Effect.forkChild(restarts.stop(index), { startImmediately: true })
        yield* balancer.left(member)
        yield* close(member)
        yield* Fiber.join(stopping)
        yield* Effect.flatMap(orNoWorld(restarts.start(index)), (origin) => replace(member, origin))
      })

    const settle = Effect.suspend(() => restarting === undefined ? Effect.void : Fiber.join(restarting))

    const play = (step: Step): Effect.Effect<void, NoWorld, HttpClient.HttpClient | Scope.Scope> =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        switch (step._tag) {
          case "Faults":
            return yield* change(step.faults)
          case "OutageBegins":
            times.outageBegan = now
            return yield* change({ "llm-primary": { down: true } })
          case "OutageEnds":
            times.outageMillis = now - times.outageBegan
            return yield* change({ "llm-primary": { down: false } })
          case "RedisGoes":
            times.redisWent = now
            return yield* world.redis?.kill ?? Effect.void
          case "RedisComes":
            yield* orNoWorld(world.redis?.restart ?? Effect.void)
            times.redisMillis = (yield* Clock.currentTimeMillis) - times.redisWent
            return
          case "Restart":
            if (world.restarts === undefined) return
            yield* settle
            restarting = yield* Effect.forkScoped(restart(step.instance))
            return
          case "Squall":
            yield* settle
            return yield* change(noModel)
        }
      })

    return {
      play,
      mend: Effect.ignore(change(mended)),
      end: Effect.gen(function*() {
        yield* settle
        yield* change(mended)
        return {
          outageMillis: times.outageMillis,
          redis: world.redis === undefined
            ? notRun(world.withoutRedis)
            : { _tag: "Done", what: `away for ${(times.redisMillis / 1000).toFixed(1)} s` },
          restarts: world.restarts === undefined
            ? notRun("they are not ours to restart")
            : { _tag: "Done", what: `${restarted} of ${balancer.members.length} instances` },
          closedBooks: allClosed ? closed : undefined
        }
      })
    }
  })
