/**
 * A process of its own that limits in a shared store. Run with the store ("redis" or "postgres") and its URL.
 *
 * Says `ready`, then does what each line tells it: `race N` asks N times, 16 at once, and says how many were allowed; `hold` takes a lease
 * and a reservation, says `held`, and keeps them until it is killed.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createInterface } from "node:readline"
import * as Limits from "./sharedLimits.ts"

const [kind, url] = process.argv.slice(2)

const store: Layer.Layer<RateLimiter.RateLimiterStore, unknown> = kind === "redis"
  ? RateLimiter.layerStoreRedis().pipe(Layer.provide(NodeRedis.layer({ url: url! })))
  : RateLimiter.layerStoreSql().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url!), maxConnections: 4 })))

const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

const program = Effect.gen(function*() {
  const limiter = yield* RateLimiter.RateLimiter
  yield* limiter.peek(Limits.race)
  yield* say("ready")
  for (;;) {
    const line = yield* Effect.promise(() => next())
    const [what, count] = line.split(" ")
    if (what === "race") {
      const decisions = yield* Effect.all(
        Array.from({ length: Number(count) }, () => limiter.consume(Limits.race)),
        { concurrency: 16 }
      )
      yield* say(String(decisions.filter(({ _tag }) => _tag === "Allowed").length))
    } else {
      return yield* limiter.limit(Limits.lease)(Effect.scoped(Effect.andThen(
        limiter.reserve(Limits.budget, { estimate: 60, lease: "1 second" }),
        Effect.andThen(say("held"), Effect.never)
      )))
    }
  }
})

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = () => lines.next().then((result) => result.done === true ? process.exit(0) : result.value)

await Effect.runPromise(
  Effect.provide(program, RateLimiter.layerWith({ storeTimeout: "20 seconds" }).pipe(Layer.provide(store)))
)
