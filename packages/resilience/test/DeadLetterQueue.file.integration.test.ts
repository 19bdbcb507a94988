import * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"
import { layerFaulty } from "./support/faultyFileSystem.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dead-letters-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const inFolder = (options?: Partial<DeadLetterQueue.FileStoreOptions>) =>
  Layer.unwrap(
    Effect.map(folder, (folder) => DeadLetterQueue.layerStoreFile({ path: join(folder, "letters.log"), ...options }))
  )

DeadLetterStoreSuite.deadLetterStoreSuite(
  "letters in a file",
  inFolder().pipe(Layer.provide(NodeFileSystem.layer)),
  // With so small a bound it is compacted all the time, so each I/O of that fails in its turn, too.
  { faulty: (faults) => inFolder({ compactAt: 1 }).pipe(Layer.provide(layerFaulty(faults))) }
)

DeadLetterStoreSuite.deadLetterStoreSuite(
  "letters in a file that is compacted all the time",
  inFolder({ compactAt: 1 }).pipe(Layer.provide(NodeFileSystem.layer))
)

describe("the file store", () => {
  /** One process after the other on the same file. */
  const withStore = <A, E>(path: string, self: Effect.Effect<A, E, DeadLetterQueue.DeadLetterStore>) =>
    Effect.provide(
      self,
      Layer.fresh(DeadLetterQueue.layerStoreFile({ path })).pipe(Layer.provide(NodeFileSystem.layer))
    )
  const queue = Effect.map(orders(), (queue) => queue)

  it.live("a start finds what the last one left", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "letters.log")
      const ids = yield* withStore(path, Effect.scoped(Effect.flatMap(queue, (queue) => offerMany(queue, 20))))
      yield* withStore(
        path,
        Effect.scoped(Effect.gen(function*() {
          const all = yield* queue
          assert.strictEqual(yield* all.count({ state: "Dead" }), 20)
          assert.deepStrictEqual((yield* all.get(ids[7]!)).payload, Result.succeed({ order: 8 }))
          yield* outcomes(all.redrive({}, () => Effect.void))
        }))
      )
      assert.strictEqual(
        yield* withStore(path, Effect.scoped(Effect.flatMap(queue, (queue) => queue.count({ state: "Archived" })))),
        20
      )
    }).pipe(Effect.scoped))

  it.live("a file that was cut anywhere has every letter whose line is whole, and goes on from there", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "letters.log")
      yield* withStore(path, Effect.scoped(Effect.flatMap(queue, (queue) => offerMany(queue, 5))))
      const whole = readFileSync(path)
      const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1)
      for (let cut = whole.length; cut >= 0; cut -= 97) {
        writeFileSync(path, whole)
        truncateSync(path, cut)
        const expected = ends.filter((end) => end <= cut).length
        const after = yield* withStore(
          path,
          Effect.scoped(Effect.gen(function*() {
            const all = yield* queue
            assert.strictEqual(yield* all.count(), expected)
            yield* offerMany(all, 1)
            return yield* all.count()
          }))
        )
        assert.strictEqual(after, expected + 1)
        assert.isFalse(existsSync(`${path}.corrupt`))
      }
    }).pipe(Effect.scoped))

  it.live("DL-9 a line that went bad is set aside and keeps nothing else from being read", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "letters.log")
      const ids = yield* withStore(path, Effect.scoped(Effect.flatMap(queue, (queue) => offerMany(queue, 3))))
      const bytes = readFileSync(path)
      const second = bytes.indexOf(10) + 40
      bytes[second] = bytes[second]! ^ 1
      writeFileSync(path, bytes)
      const left = yield* withStore(path, Effect.scoped(Effect.flatMap(queue, (queue) => queue.list())))
      assert.sameMembers(left.letters.map(({ id }) => id), [ids[0], ids[2]])
      assert.isAbove(statSync(`${path}.corrupt`).size, 100)
    }).pipe(Effect.scoped))

  it.live("compacting keeps the file small, and every letter", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "letters.log")
      const store = Layer.fresh(DeadLetterQueue.layerStoreFile({ path, compactAt: 50_000 })).pipe(
        Layer.provide(NodeFileSystem.layer)
      )
      const ids = yield* Effect.gen(function*() {
        const all = yield* orders({ maxRedrives: 1_000 })
        const ids = yield* offerMany(all, 5)
        for (let i = 0; i < 60; i++) yield* outcomes(all.redrive({}, () => Effect.fail("no")))
        return ids
      }).pipe(Effect.scoped, Effect.provide(store))
      const letters = yield* withStore(
        path,
        Effect.scoped(Effect.flatMap(queue, (queue) => queue.list({}, { order: "oldest" })))
      )
      assert.deepStrictEqual(
        letters.letters.map(({ attempts, id }) => [id, attempts.delivered]),
        ids.map((id) => [id, 60])
      )
      assert.isBelow(statSync(path).size, 50_000 + 3 * 5 * 20_000)
      assert.isFalse(existsSync(`${path}.new`))
    }).pipe(Effect.scoped))

  it.live("says typed that another process writes to the file", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "letters.log")
      const error = yield* withStore(
        path,
        Effect.scoped(Effect.gen(function*() {
          const all = yield* queue
          yield* offerMany(all, 1)
          appendFileSync(path, "00000000 {}\n")
          return yield* Effect.flip(offerMany(all, 1))
        }))
      )
      assert.strictEqual(error._tag, "DeadLetterStoreError")
      assert.match(error.message, /another process writes to it/)
    }).pipe(Effect.scoped))
})
