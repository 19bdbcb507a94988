/** A program that ends sessions in the file it is given, and says the id of each that has ended. Until it is killed. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { writeSync } from "node:fs"

const [path = "", name = ""] = process.argv.slice(2)

const session = (id: string) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* SessionMetrics.start(id)
    yield* session.record("asr", 100)
    yield* session.record("e2e", 700)
    yield* session.end()
    // At once, and not when the event loop has time: who is killed has then said it or not.
    writeSync(1, `${id}\n`)
  }))

const program = Effect.gen(function*() {
  for (let index = 0;; index++) yield* session(`${name}-${index}`)
})

await Effect.runPromise(
  Effect.provide(
    program,
    Layer.provide(SessionMetrics.layer({ path, rotate: { bytes: 200_000, keep: 100 } }), NodeFileSystem.layer)
  )
)
