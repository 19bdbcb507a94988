/** What speed is worth little without: how many a limiter lets through, and what a key costs. */
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as CoreRateLimiter from "effect/persistence/RateLimiter"
import * as Scope from "effect/Scope"
import { RateLimiterMemory } from "rate-limiter-flexible"
import type { Scenario, Seen } from "../harness/scenario.ts"

/** Asks for one with a key: whether it is let through. `forget` ends what the limiter keeps running. */
interface Asking {
  readonly name: string
  readonly start: (limit: number, windowSeconds: number) => Promise<{
    readonly ask: (key: string) => Promise<boolean>
    readonly forget: () => Promise<void>
  }>
}

const ours = (
  name: string,
  rule: (options: { readonly limit: number; readonly window: `${number} seconds` }) => RateLimiter.Rule
): Asking => ({
  name,
  start: async (limit, windowSeconds) => {
    const scope = Scope.makeUnsafe()
    const layer = Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory({ capacity: 2_000_000 }))
    const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    const policy = RateLimiter.policy("bench", [rule({ limit, window: `${windowSeconds} seconds` })])
    const run = Effect.runPromiseWith(context)
    return {
      ask: (key) =>
        run(
          Effect.flatMap(RateLimiter.RateLimiter, (limiter) =>
            Effect.map(limiter.consume({ policy, key }), ({ _tag }) => _tag === "Allowed"))
        ),
      forget: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})

const flexible: Asking = {
  name: "rate-limiter-flexible",
  start: async (limit, windowSeconds) => {
    const limiter = new RateLimiterMemory({ points: limit, duration: windowSeconds })
    return { ask: (key) => limiter.consume(key).then(() => true, () => false), forget: async () => {} }
  }
}

const core: Asking = {
  name: "Effect core, fixed window",
  start: async (limit, windowSeconds) => {
    const scope = Scope.makeUnsafe()
    const layer = Layer.provide(CoreRateLimiter.layer, CoreRateLimiter.layerStoreMemory)
    const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    const run = Effect.runPromiseWith(context)
    return {
      ask: (key) =>
        run(
          Effect.flatMap(CoreRateLimiter.RateLimiter, (limiter) =>
            limiter.consume({ key, limit, window: `${windowSeconds} seconds`, onExceeded: "fail" }).pipe(
              Effect.as(true),
              Effect.orElseSucceed(() =>
                false
              )
            ))
        ),
      forget: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}

const contenders: ReadonlyArray<Asking> = [
  ours("slidingWindow", RateLimiter.slidingWindow),
  ours("tokenBucket", RateLimiter.tokenBucket),
  ours("fixedWindow", RateLimiter.fixedWindow),
  flexible,
  core
]

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** The most admissions that lie within a second of each other. */
const mostInASecond = (admissions: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  for (let last = 0; last < admissions.length; last++) {
    while (admissions[last]! - admissions[first]! >= 1000) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

/** One early, the rest just before its window ends, and as many as there are just after. */
const overAdmission = async ({ name, start }: Asking): Promise<Seen> => {
  const { ask, forget } = await start(10, 1)
  const admissions: Array<number> = []
  const tryOne = async () => {
    if (await ask("attacker")) admissions.push(performance.now())
  }
  await tryOne()
  await pause(900)
  for (let i = 0; i < 20; i++) await tryOne()
  await pause(110)
  for (let i = 0; i < 20; i++) await tryOne()
  await forget()
  const most = mostInASecond(admissions)
  return {
    what: `${name}: most in any second, the limit being 10`,
    value: String(most),
    ...(name === "slidingWindow" ? { wanted: { value: "10", reached: most <= 10 } } : undefined)
  }
}

const millionKeys = 1_000_000

const collectGarbage = (): void => (globalThis as { readonly gc?: () => void }).gc?.()

const bytesAKey = async ({ name, start }: Asking): Promise<{ readonly name: string; readonly bytes: number }> => {
  const { ask, forget } = await start(1000, 3600)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let key = 0; key < millionKeys; key++) await ask(`user:${key}`)
  collectGarbage()
  const bytes = (process.memoryUsage().heapUsed - before) / millionKeys
  await forget()
  return { name, bytes }
}

/** How many, and how much. */
export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "Over-admission",
    story: "Ten a second: one request, then as many as there is room for just before its window ends, and just after.",
    play: async () => {
      const seen: Array<Seen> = []
      for (const contender of contenders) seen.push(await overAdmission(contender))
      return seen
    }
  },
  {
    title: "Memory",
    story: "Heap after a million keys with one request each, over what it was before, by key.",
    play: async () => {
      const figures = []
      for (const contender of contenders.filter(({ name }) => name !== "slidingWindow")) {
        figures.push(await bytesAKey(contender))
      }
      const peer = figures.find(({ name }) => name === flexible.name)!
      return figures.map(({ bytes, name }): Seen => ({
        what: name,
        value: `${Math.round(bytes)} bytes`,
        wanted: name === "fixedWindow"
          ? {
            value: `half of rate-limiter-flexible's ${Math.round(peer.bytes)}`,
            reached: bytes <= peer.bytes / 2
          }
          : undefined
      }))
    }
  }
]
