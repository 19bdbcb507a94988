/** Services laid over those of a fiber. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { provideOver } from "../src/internal/provideOver.ts"

class Name extends Context.Service<Name, { readonly name: string }>()("test/Name") {}
class Age extends Context.Service<Age, { readonly age: number }>()("test/Age") {}
const Tone = Context.Reference<string>("test/Tone", { defaultValue: () => "kind" })

const seen = Effect.gen(function*() {
  const { name } = yield* Name
  const { age } = yield* Age
  return [name, age, yield* Tone]
})

describe("provideOver", () => {
  it.effect("gives an effect what is provided, and what its fiber has besides", () =>
    Effect.gen(function*() {
      const context = Context.make(Name, { name: "new" }).pipe(Context.add(Tone, "harsh"))
      const effect = provideOver(context)(seen)
      assert.deepStrictEqual(
        yield* effect.pipe(Effect.provideService(Age, { age: 3 }), Effect.provideService(Name, { name: "old" })),
        ["new", 3, "harsh"]
      )
    }))

  it.effect("ends with the effect, however that ends", () =>
    Effect.gen(function*() {
      const over = provideOver(Context.make(Name, { name: "new" }))
      const after = Effect.gen(function*() {
        yield* over(Effect.void)
        yield* Effect.exit(over(Effect.fail("no")))
        yield* Effect.exit(over(Effect.die("no")))
        return (yield* Name).name
      })
      assert.strictEqual(yield* Effect.provideService(after, Name, { name: "old" }), "old")
    }))

  it.effect("takes as many services as there are", () =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 40 }, (_, index) => Context.Service<number>(`test/${index}`))
      let context = Context.empty() as Context.Context<never>
      for (const [index, key] of keys.entries()) context = Context.add(context, key, index)
      const all = Effect.forEach(keys, (key) => Effect.map(Effect.serviceOption(key), ({ _tag }) => _tag))
      assert.deepStrictEqual([...new Set(yield* provideOver(context)(all))], ["Some"])
    }))
})
