/** A storage over a real PostgreSQL that goes and comes back, with files beside it. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"

const postgres = (url: string) =>
  KeyValueStore.layerSql().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url), connectTimeout: "1 second" })))

const files = (folder: string) =>
  KeyValueStore.layerFileSystem(folder).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))

/** What a store really has, seen by nobody but this test. */
const contents = <E>(layer: Layer.Layer<KeyValueStore.KeyValueStore, E>) =>
  Effect.gen(function*() {
    const store = yield* KeyValueStore.KeyValueStore
    const keys = (yield* store.keys).toSorted()
    return yield* Effect.forEach(keys, (key) => Effect.map(store.get(key), (value) => [key, value] as const))
  }).pipe(Effect.provide(Layer.fresh(layer)))

describe("FallbackChain.storage over PostgreSQL", () => {
  it.live(
    "FB-8 nothing acknowledged is lost while the server is away and while this process restarts",
    () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer.PostgresServer
        const fileSystem = yield* FileSystem.FileSystem
        const folder = yield* fileSystem.makeTempDirectoryScoped({ prefix: "storage-" })
        const storage = FallbackChain.storage({
          primary: postgres(server.url),
          secondary: files(folder),
          timeout: "2 seconds",
          recheck: Schedule.spaced("50 millis")
        })
        const model = new Map<string, string>()
        const write = (round: string) =>
          Effect.gen(function*() {
            const store = yield* KeyValueStore.KeyValueStore
            for (let n = 0; n < 10; n++) {
              yield* store.set(`key-${n % 4}`, `${round}-${n}`)
              model.set(`key-${n % 4}`, `${round}-${n}`)
            }
            yield* store.remove("key-3")
            model.delete("key-3")
            for (let n = 0; n < 4; n++) assert.strictEqual(yield* store.get(`key-${n}`), model.get(`key-${n}`))
          })
        const state = Effect.flatMap(FallbackChain.FallbackStorage, ({ state }) => state)

        yield* Effect.gen(function*() {
          yield* write("up")
          yield* server.stop
          yield* write("down")
          assert.strictEqual((yield* state).mode, "Journal")
        }).pipe(Effect.provide(Layer.fresh(storage)))

        yield* server.restart
        yield* Effect.gen(function*() {
          // What the process before this one had acknowledged is there, whether or not it is done yet.
          const store = yield* KeyValueStore.KeyValueStore
          for (let n = 0; n < 4; n++) assert.strictEqual(yield* store.get(`key-${n}`), model.get(`key-${n}`))
          yield* write("back")
          const { journaled } = yield* Eventually.answers(state, ({ mode }) => mode === "Primary")
          assert.strictEqual(journaled, 0)
        }).pipe(Effect.provide(Layer.fresh(storage)))

        const expected = [...model].toSorted()
        assert.deepStrictEqual(yield* contents(postgres(server.url)), expected)
        assert.deepStrictEqual(yield* contents(files(folder)), expected)
      }).pipe(Effect.scoped, Effect.provide([PostgresServer.layer, NodeFileSystem.layer])),
    60_000
  )
})
