/**
 * Records one trace in a hundred, and every one in which something went wrong. What the policies decided is in it.
 *
 *     node src/tracing.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Tracer } from "effect"
import { Failure, Retry, Tracing } from "effect-resilience"

/** Where an exporter would be: prints each span that is recorded, when it has ended. */
class PrintedSpan extends Tracer.NativeSpan {
  override end(...ending: Parameters<Tracer.NativeSpan["end"]>) {
    super.end(...ending)
    const events = this.events.map(([name]) => name)
    // oxlint-disable-next-line no-console -- a span ends outside of any effect
    console.log([`span ${this.name}`, ...events].join(", "))
  }
}
const Printing = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new PrintedSpan(options) }))

const request = (id: number) =>
  Effect.suspend(() => id === 500 ? Effect.fail({ [Failure.symbol]: () => Failure.fromHttpStatus(503) }) : Effect.void)
    .pipe(
      Effect.withSpan("call"),
      Retry.retry(Retry.backoff({ base: "1 millis", times: 2 }), { name: "call" }),
      Effect.withSpan(`request ${id}`, { root: true }),
      Effect.ignore
    )

const program = Effect.gen(function*() {
  for (let id = 1; id <= 1000; id++) yield* request(id)
  yield* Console.log("1000 requests, of which one failed")
})

const Traces = Layer.provide(Tracing.layer({ sampler: Tracing.sampler.never }), Printing)
NodeRuntime.runMain(Effect.provide(program, Traces))
