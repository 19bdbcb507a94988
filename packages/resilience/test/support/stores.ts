/** A store that can be taken down, be slow, or be killed between two steps. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"

interface Faulty {
  readonly store: KeyValueStore.KeyValueStore
  readonly layer: Layer.Layer<KeyValueStore.KeyValueStore>
  /** The calls that change something, as they arrived. */
  readonly log: Array<string>
  /** `lies`: it does what it is told and says that it has not. */
  mode: "up" | "down" | "hangs" | "lies"
  /** How many more calls are answered before it goes down. */
  answers: number
}

/** A `KeyValueStore` of Effect's own, in front of which faults are put. */
export const faulty = Effect.gen(function*() {
  const inner = Context.get(
    yield* Layer.build(Layer.fresh(KeyValueStore.layerMemory)),
    KeyValueStore.KeyValueStore
  )
  const error = (method: string) =>
    new KeyValueStore.KeyValueStoreError({
      method,
      message: "down",
      cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
    })
  const through = <A>(method: string, call: Effect.Effect<A, KeyValueStore.KeyValueStoreError>) =>
    Effect.suspend(() => {
      if (self.mode === "up" && self.answers-- <= 0) self.mode = "down"
      switch (self.mode) {
        case "up":
          return call
        case "down":
          return Effect.fail(error(method))
        case "lies":
          return Effect.andThen(call, Effect.fail(error(method)))
        case "hangs":
          return Effect.never
      }
    })
  const logged = <A>(entry: string, call: Effect.Effect<A, KeyValueStore.KeyValueStoreError>) =>
    Effect.tap(call, () => Effect.sync(() => self.log.push(entry)))
  const store = KeyValueStore.make({
    get: (key) => through("get", inner.get(key)),
    getUint8Array: (key) => through("get", inner.getUint8Array(key)),
    set: (key, value) => through("set", logged(`set ${key}=${String(value)}`, inner.set(key, value))),
    remove: (key) => through("remove", logged(`remove ${key}`, inner.remove(key))),
    clear: through("clear", logged("clear", inner.clear)),
    clearPrefix: (prefix) => through("clearPrefix", logged(`clear ${prefix}`, inner.clearPrefix(prefix))),
    size: through("size", inner.size),
    keys: through("keys", inner.keys)
  })
  const self: Faulty = {
    store,
    layer: Layer.succeed(KeyValueStore.KeyValueStore, store),
    log: [],
    mode: "up",
    answers: Infinity
  }
  return self
})
