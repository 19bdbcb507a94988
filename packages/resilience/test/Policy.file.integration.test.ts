/** Policies that follow a real file, while that is changed, spoilt, moved and taken away. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Signal from "effect-resilience/Signal"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"

const services = Layer.mergeAll(
  NodeFileSystem.layer,
  CircuitBreaker.layerStoreMemory,
  Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
)

const document = (limit: number) => `
policies:
  api:
    breaker: { trip: { kind: consecutive, failures: 2 }, openFor: 1 hour }
    bulkhead: { limit: ${limit}, queue: 2000 }
`

/** A file with a document, and the policies that follow it. */
const following = <A, E, R>(
  test: (use: {
    readonly path: string
    readonly files: FileSystem.FileSystem
    readonly policies: Policy.Policies["Service"]
    readonly heard: ReadonlyArray<Signal.PoliciesReloaded>
  }) => Effect.Effect<A, E, R>,
  reload: Schedule.Schedule<unknown> = Schedule.spaced("10 millis")
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/policies.yaml`
    yield* files.writeFileString(path, document(3))
    const heard: Array<Signal.PoliciesReloaded> = []
    const layer = Policy.layerFromFile(path, { reload }).pipe(
      Layer.provide(Signal.layer((signal) => {
        if (signal._tag === "PoliciesReloaded") heard.push(signal)
      }))
    )
    return yield* Effect.provide(
      Effect.flatMap(Policy.Policies, (policies) => test({ path, files, policies, heard })),
      layer
    )
  }).pipe(Effect.scoped, Effect.provide(services))

const limitOf = (policies: Policy.Policies["Service"]) =>
  Effect.flatMap(policies.get("api"), (policy) => Effect.map(policy.bulkhead()!.state, ({ limit }) => limit))

describe("Policy.layerFromFile", () => {
  it.live("takes a change over without losing one of 1,000 calls, nor a circuit's state", () =>
    following(({ files, path, policies }) =>
      Effect.gen(function*() {
        const policy = yield* policies.get("api")
        yield* Effect.exit(policy.run(Effect.fail("no"), { key: "ill" }))
        const calls = yield* Effect.forEach(
          Array.from({ length: 1_000 }, (_, n) => n),
          (n) => Effect.forkChild(policy.run(Effect.delay(Effect.succeed(n), 1 + n % 9)))
        )
        for (const limit of [200, 20, 400, 50]) {
          yield* files.writeFileString(path, document(limit))
          yield* Eventually.answers(limitOf(policies), (now) => now === limit)
        }
        const ends = yield* Effect.forEach(calls, (call) => Fiber.await(call))
        assert.deepStrictEqual(ends, Array.from({ length: 1_000 }, (_, n) => Exit.succeed(n)))
        assert.deepStrictEqual(yield* policy.bulkhead()!.state, { limit: 50, inFlight: 0, queue: 2000, queued: 0 })
        // The failure of before the changes is the first of two.
        yield* Effect.exit(policy.run(Effect.fail("no"), { key: "ill" }))
        assert.isTrue(CircuitBreaker.isCircuitOpen(yield* Effect.flip(policy.run(Effect.void, { key: "ill" }))))
      })
    ))

  it.live("a file that is half written, gone, a folder, too large or wrong changes nothing, and is told once", () =>
    following(({ files, heard, path, policies }) =>
      Effect.gen(function*() {
        const bad: ReadonlyArray<readonly [string, Effect.Effect<void, unknown>, RegExp]> = [
          ["half", files.writeFileString(path, document(9).slice(0, 60)), /The document cannot be read/],
          ["gone", files.remove(path), /The file cannot be read/],
          ["folder", files.makeDirectory(path), /no file but a Directory/],
          [
            "large",
            Effect.andThen(files.remove(path, { recursive: true }), files.writeFileString(path, "#".repeat(2_000_000))),
            /too large/
          ],
          ["empty", files.writeFileString(path, ""), /is empty/],
          ["wrong", files.writeFileString(path, document(0)), /^policies\.api\.bulkhead\.limit: /]
        ]
        for (const [what, spoil, message] of bad) {
          yield* spoil
          // A file may be seen on its way, too: gone, and empty.
          yield* Eventually.met(() => message.test(heard.at(-1)?.problems[0] ?? ""))
          const told = heard.length
          yield* Effect.sleep("60 millis")
          assert.strictEqual(heard.length, told, what)
          assert.strictEqual(yield* limitOf(policies), 3, what)
          assert.isTrue(heard.slice(1).every(({ outcome }) => outcome === "refused"), what)
        }
        yield* files.writeFileString(path, document(7))
        yield* Eventually.answers(limitOf(policies), (limit) => limit === 7)
      })
    ))

  it.live("what an operator puts in force stays until the file changes", () =>
    following(({ files, path, policies }) =>
      Effect.gen(function*() {
        yield* policies.replace(document(11))
        yield* Effect.sleep("60 millis")
        assert.strictEqual(yield* limitOf(policies), 11)
        assert.strictEqual((yield* policies.current).source, "replace")
        yield* files.writeFileString(path, document(12))
        yield* Eventually.answers(limitOf(policies), (limit) => limit === 12)
        assert.strictEqual((yield* policies.current).source, path)
      })
    ))

  it.live("what is put in force is not undone by the file, before who did it has written it there", () =>
    following(({ files, path, policies }) =>
      Effect.gen(function*() {
        for (const limit of [10, 20, 30, 40]) {
          yield* files.writeFileString(path, document(limit))
          yield* policies.replace(document(limit + 1))
          yield* Effect.sleep("300 millis")
          assert.strictEqual(yield* limitOf(policies), limit + 1)
          yield* files.writeFileString(path, document(limit + 1))
          yield* Effect.sleep("300 millis")
          assert.strictEqual(yield* limitOf(policies), limit + 1)
        }
        yield* files.writeFileString(path, document(50))
        yield* Eventually.answers(limitOf(policies), (now) => now === 50)
      }), Schedule.spaced("500 millis")))

  it.live("a file that is no good at the start fails the layer, with everything that is wrong", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/policies.yaml`
      const build = Effect.flip(Layer.build(Policy.layerFromFile(path)))
      assert.match((yield* build).message, /cannot be read/)
      yield* files.writeFileString(path, "policies: { a: { x: 1, deadline: 0 seconds } }")
      assert.deepStrictEqual((yield* build).problems.map(({ path }) => path), ["policies.a.x", "policies.a.deadline"])
    }).pipe(Effect.scoped, Effect.provide(services)))
})
