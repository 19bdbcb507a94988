/**
 * A process with a breaker over a shared Redis, which does as it is told line by line on its standard input and answers
 * each with a line: `fail`, `succeed`, `hold` (a call that never ends), `state`.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createInterface } from "node:readline"

const [, , url, lease] = process.argv
const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

const program = Effect.gen(function*() {
  const breaker = yield* CircuitBreaker.make({
    name: "shared",
    trip: CircuitBreaker.consecutive(3),
    openFor: "500 millis",
    halfOpen: { probes: 2 }
  })
  const guarded = (call: Effect.Effect<string, string>) =>
    breaker.protect(call).pipe(
      Effect.catchTag("CircuitOpen", ({ state }) => Effect.succeed(`rejected ${state}`)),
      Effect.catch((error) => Effect.succeed(error)),
      Effect.flatMap(say)
    )
  const run = (command: string): Effect.Effect<unknown, unknown> => {
    switch (command) {
      case "fail":
        return guarded(Effect.fail("failed"))
      case "succeed":
        return guarded(Effect.succeed("succeeded"))
      case "hold":
        return Effect.forkDetach(guarded(Effect.andThen(say("holding"), Effect.never)), { startImmediately: true })
      default:
        return Effect.flatMap(breaker.state(), say)
    }
  }
  yield* say("ready")
  const context = yield* Effect.context<never>()
  const lines = createInterface({ input: process.stdin })
  yield* Effect.callback<void>((resume) => {
    lines.on("line", (line) => void Effect.runForkWith(context)(run(line)))
    lines.on("close", () => resume(Effect.void))
  })
})

const StoreLayer = CircuitBreaker.layerStoreRedis({ lease: `${Number(lease)} millis`, timeout: "5 seconds" }).pipe(
  Layer.provide(NodeRedis.layer({ url: url! }))
)

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(StoreLayer)))
