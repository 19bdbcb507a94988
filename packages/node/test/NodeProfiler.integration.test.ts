/** Profiles of this very process. */
import * as NodeProfiler from "@effect-resilience/node/NodeProfiler"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Session } from "node:inspector"

interface CpuProfile {
  readonly nodes: ReadonlyArray<{ readonly id: number; readonly callFrame: { readonly functionName: string } }>
  readonly startTime: number
  readonly endTime: number
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: { readonly node_fields: ReadonlyArray<string>; readonly edge_fields: ReadonlyArray<string> }
    readonly node_count: number
  }
  readonly nodes: ReadonlyArray<number>
  readonly strings: ReadonlyArray<string>
}

/** Has the profiler something to see. */
const burnTime = (millis: number): number => {
  const until = performance.now() + millis
  let sum = 0
  while (performance.now() < until) for (let index = 0; index < 1_000; index++) sum += Math.sqrt(index)
  return sum
}

const burning = Effect.sync(() => burnTime(20)).pipe(Effect.andThen(Effect.yieldNow), Effect.forever)

const profile = (seconds: number) =>
  Effect.gen(function*() {
    const profiler = yield* NodeProfiler.NodeProfiler
    // The file, as DevTools reads it.
    return JSON.parse(yield* profiler.cpu({ seconds })) as CpuProfile
  })

const heap = Effect.flatMap(
  NodeProfiler.NodeProfiler,
  ({ heap }) => Stream.runFold(heap, () => new Array<Uint8Array>(), (all, piece) => [...all, piece])
)

/** Every message to the inspector while an effect runs, and how often a session was ended. */
const overheard = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { disconnect, post } = Session.prototype
      const said: Array<string> = []
      // `any`: the overloads of `post` have no type in common.
      Session.prototype.post = function(this: Session, ...message: Array<any>) {
        said.push(message[0])
        return Reflect.apply(post, this, message)
      }
      Session.prototype.disconnect = function() {
        said.push("disconnect")
        disconnect.call(this)
      }
      return { said, disconnect, post }
    }),
    ({ said }) => Effect.map(Effect.exit(self), (exit) => ({ said, exit })),
    ({ disconnect, post }) => Effect.sync(() => Object.assign(Session.prototype, { disconnect, post }))
  )

const provided = Effect.provide(NodeProfiler.layer)

describe("NodeProfiler", () => {
  it.live("cpu: a file for DevTools, in which the function that took the time is found", () =>
    Effect.gen(function*() {
      const busy = yield* Effect.forkChild(burning)
      const { endTime, nodes, samples, startTime, timeDeltas } = yield* profile(0.5)
      yield* Fiber.interrupt(busy)
      assert.isAbove(endTime, startTime)
      assert.isAbove(samples.length, 10)
      assert.strictEqual(timeDeltas.length, samples.length)
      const names = new Map(nodes.map(({ callFrame, id }) => [id, callFrame.functionName]))
      assert.isTrue(samples.every((id) => names.has(id)))
      assert.isAbove(samples.filter((id) => names.get(id) === "burnTime").length, 0)
    }).pipe(provided))

  it.live("heap: a file for DevTools, with what is in memory", () =>
    Effect.gen(function*() {
      class ThisStandsOut {
        readonly text = "and so does this"
      }
      const kept = new ThisStandsOut()
      const { nodes, snapshot, strings } = JSON.parse(Buffer.concat(yield* heap).toString()) as HeapSnapshot
      const { edge_fields, node_fields } = snapshot.meta
      assert.includeMembers([...node_fields], ["type", "name", "id", "self_size", "edge_count"])
      assert.includeMembers([...edge_fields], ["type", "name_or_index", "to_node"])
      assert.strictEqual(nodes.length, snapshot.node_count * node_fields.length)
      assert.include(strings, kept.constructor.name)
    }).pipe(provided), 60_000)

  it.live("makes one profile at a time, and says which one it makes", () =>
    Effect.gen(function*() {
      const first = yield* Effect.forkChild(profile(1), { startImmediately: true })
      const second = yield* Effect.flip(profile(1))
      assert.deepStrictEqual(second, new NodeProfiler.ProfilerBusy({ running: "cpu" }))
      assert.strictEqual((yield* Effect.flip(heap))._tag, "ProfilerBusy")
      yield* Fiber.interrupt(first)
      // And when it is done, the next.
      yield* profile(0.05)
      yield* Stream.runDrain(Stream.take((yield* NodeProfiler.NodeProfiler).heap, 1))
      yield* profile(0.05)
    }).pipe(provided), 60_000)

  it.live("an interruption stops the profiler, and nothing is left on", () =>
    Effect.gen(function*() {
      const { exit, said } = yield* overheard(Effect.timeout(profile(100), "100 millis"))
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(said, ["Profiler.enable", "Profiler.start", "Profiler.disable", "disconnect"])
    }).pipe(provided))

  it.live("nothing is left on after a profile and a snapshot, read or not", () =>
    Effect.gen(function*() {
      const profiler = yield* NodeProfiler.NodeProfiler
      const { said } = yield* overheard(Effect.gen(function*() {
        yield* profile(0.05)
        yield* Stream.runDrain(Stream.take(profiler.heap, 1))
      }))
      const ended = said.filter((what) => what === "disconnect" || what === "Profiler.disable")
      assert.deepStrictEqual(ended, ["Profiler.disable", "disconnect", "disconnect"])
    }).pipe(provided), 60_000)

  it.live("refuses a time that is none, or too long", () =>
    Effect.gen(function*() {
      for (const seconds of [0, -1, NaN, Infinity, NodeProfiler.maxSeconds + 1]) {
        const error = yield* Effect.flip(profile(seconds))
        assert.deepStrictEqual(error, new NodeProfiler.ProfileTooLong({ seconds, max: NodeProfiler.maxSeconds }))
      }
      assert.strictEqual(
        new NodeProfiler.ProfileTooLong({ seconds: 500, max: 120 }).message,
        "seconds must be above 0 and at most 120, got 500"
      )
    }).pipe(provided))

  it.live("an inspector that refuses is a failure, and does not stand in the way of the next", () =>
    Effect.gen(function*() {
      const { connect } = Session.prototype
      Session.prototype.connect = () => {
        throw new Error("not built in")
      }
      const error = yield* Effect.flip(profile(0.05)).pipe(
        Effect.ensuring(Effect.sync(() => {
          Session.prototype.connect = connect
        }))
      )
      assert.deepStrictEqual(error, new NodeProfiler.ProfilerFailed({ reason: "Error: not built in" }))
      yield* Effect.retry(profile(0.05), Schedule.recurs(0))
    }).pipe(provided))
})
