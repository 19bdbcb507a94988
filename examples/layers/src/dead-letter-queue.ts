/**
 * A mail that cannot be sent is kept with everything that is known of its failure, and sent when the mail server is back.
 * The letters are in a file: a crash of this program loses none.
 *
 *     node src/dead-letter-queue.ts
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, FileSystem, Layer, Schema, Stream } from "effect"
import { DeadLetterQueue, Failure } from "effect-resilience"

const Mail = Schema.Struct({ to: Schema.String, text: Schema.String })

class Mails extends DeadLetterQueue.Service<Mails>()("app/Mails", { name: "mails", schema: Mail }) {}

let serverIsUp = false
const send = (mail: typeof Mail.Type) =>
  serverIsUp
    ? Console.log(`sent to ${mail.to}: ${mail.text}`)
    : Effect.fail({ [Failure.symbol]: () => Failure.fromHttpStatus(503) })

const program = Effect.gen(function*() {
  const mails = yield* Mails
  const sendOrKeep = mails.deadLetterOnFailure(send)
  for (const to of ["ann", "bob"]) {
    const outcome = yield* sendOrKeep({ to, text: "The train leaves at nine." })
    yield* Console.log(`mail to ${to}: ${outcome._tag}`)
  }
  const { letters } = yield* mails.list({ state: "Dead" })
  for (const { failure } of letters) yield* Console.log(`kept: ${failure.kind}, ${failure.message}`)

  serverIsUp = true
  const progress = mails.redrive({ state: "Dead" }, send, { rate: 10, concurrency: 2 })
  yield* Stream.runForEach(progress, ({ counts, total }) => Console.log(`${counts.redriven} of ${total} redriven`))
  yield* Console.log(`${yield* mails.count({ state: "Dead" })} letters are left`)
})

const store = Layer.unwrap(Effect.gen(function*() {
  const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  return DeadLetterQueue.layerStoreFile({ path: `${folder}/mails.log` })
}))

NodeRuntime.runMain(
  Effect.provide(program, Mails.layer.pipe(Layer.provide(store), Layer.provide(NodeFileSystem.layer)))
)
