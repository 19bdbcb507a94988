/**
 * Looks into the running process: where its time goes, and what its memory holds.
 *
 * Both are made by V8's inspector inside of the process: no port is opened, and nothing is left on afterwards. Chrome's DevTools open
 * the files: `.cpuprofile` under Performance, `.heapsnapshot` under Memory.
 *
 * One profile is made at a time. Who asks for another meanwhile fails with {@link ProfilerBusy}: two at once would measure each
 * other.
 *
 * **Gotchas**
 *
 * A heap snapshot stops the process while it is taken, for about a second per hundred megabytes of heap, and holds everything
 * that is in memory, keys and messages of users among it. Taking it needs about as much memory again, outside of the heap.
 *
 * **Example** (Where a second goes)
 *
 * ```ts
 * import { NodeProfiler } from "@effect-resilience/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const profiler = yield* NodeProfiler.NodeProfiler
 *   const file = yield* profiler.cpu({ seconds: 0.1 })
 *   return Object.keys(JSON.parse(file)).toSorted()
 * })
 * await Effect.runPromise(Effect.provide(program, NodeProfiler.layer)) // => ["endTime", "nodes", "samples", "startTime", "timeDeltas"]
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Session from "./internal/nodeProfiler/session.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~@effect-resilience/node/NodeProfiler"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~@effect-resilience/node/NodeProfiler"

/**
 * Another profile is being made: `running` says which. Ask again when it is done.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProfilerBusy extends Data.TaggedError("ProfilerBusy")<{ readonly running: "cpu" | "heap" }> {
  override get message(): string {
    return `A ${this.running} profile is being made, and there is one at a time`
  }
}

/**
 * A profile cannot be made for so long: `seconds` is not above zero, or above `max`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProfileTooLong extends Data.TaggedError("ProfileTooLong")<{
  readonly seconds: number
  readonly max: number
}> {
  override get message(): string {
    return `seconds must be above 0 and at most ${this.max}, got ${this.seconds}`
  }
}

/**
 * The inspector refused, `reason` says why. A Node that was built without it always does.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProfilerFailed extends Data.TaggedError("ProfilerFailed")<{ readonly reason: string }> {
  override get message(): string {
    return `The inspector made no profile: ${this.reason}`
  }
}

/**
 * For how many seconds a profile may be made.
 *
 * @category models
 * @since 0.1.0
 */
export const maxSeconds = 120

/**
 * Makes profiles of this process.
 *
 * - `cpu`: the text of a `.cpuprofile`, after so many seconds, which may be a fraction. Interrupting it stops the profiler.
 * - `heap`: the bytes of a `.heapsnapshot`, taken when the stream is begun
 *
 * @category services
 * @since 0.1.0
 */
export class NodeProfiler extends Context.Service<NodeProfiler, {
  readonly cpu: (options: {
    readonly seconds: number
  }) => Effect.Effect<string, ProfilerBusy | ProfileTooLong | ProfilerFailed>
  readonly heap: Stream.Stream<Uint8Array, ProfilerBusy | ProfilerFailed>
}>()("@effect-resilience/node/NodeProfiler") {}

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<NodeProfiler> = Layer.sync(NodeProfiler, () => {
  let running: "cpu" | "heap" | undefined

  /** Has the profiler for itself until the scope closes. */
  const alone = (what: "cpu" | "heap") =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        if (running !== undefined) return Effect.fail(new ProfilerBusy({ running }))
        running = what
        return Effect.void
      }),
      () =>
        Effect.sync(() => {
          running = undefined
        })
    )

  return {
    cpu: Effect.fnUntraced(function*({ seconds }) {
      if (!(seconds > 0 && seconds <= maxSeconds)) return yield* new ProfileTooLong({ seconds, max: maxSeconds })
      yield* alone("cpu")
      return yield* failing(cpuProfile(seconds))
    }, Effect.scoped),
    heap: Stream.unwrap(Effect.andThen(alone("heap"), failing(Effect.scoped(heapSnapshot))))
  }
})

const failing = <A, R>(self: Effect.Effect<A, Session.InspectorFailed, R>): Effect.Effect<A, ProfilerFailed, R> =>
  Effect.mapError(self, ({ message }) => new ProfilerFailed({ reason: message }))

/** The inspector's answers have the types that its protocol says. */
const cpuProfile = Effect.fnUntraced(function*(seconds: number) {
  const session = yield* Session.connect
  yield* Session.post(session, "Profiler.enable")
  yield* Effect.acquireRelease(
    Session.post(session, "Profiler.start"),
    () => Effect.ignore(Session.post(session, "Profiler.disable"))
  )
  yield* Effect.sleep(seconds * 1_000)
  const { profile } = (yield* Session.post(session, "Profiler.stop")) as { readonly profile: unknown }
  return JSON.stringify(profile)
})

/**
 * The inspector says the whole snapshot before it says that it is done. The pieces are kept as bytes, which are not on the
 * heap: as text they could be what is too much for it.
 */
const heapSnapshot = Effect.gen(function*() {
  const session = yield* Session.connect
  const pieces: Array<Uint8Array | undefined> = []
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ params }) => pieces.push(Buffer.from(params.chunk)))
  yield* Session.post(session, "HeapProfiler.takeHeapSnapshot")
  return Stream.fromIterable(pieces.keys()).pipe(
    Stream.rechunk(1),
    Stream.map((index) => {
      const piece = pieces[index]!
      pieces[index] = undefined
      return piece
    })
  )
})
