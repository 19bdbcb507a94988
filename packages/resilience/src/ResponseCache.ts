/**
 * Keeps replies, and answers from them: within their time instead of asking again, and a while longer when asking again
 * takes long or fails.
 *
 * An entry goes through four ages, the first three as in RFC 5861:
 *
 * | age | a request gets | and |
 * | --- | --- | --- |
 * | below `ttl` | the entry | nothing is looked up |
 * | `ttl` to `ttl + staleFor` | the entry, at once | it is looked up again in the background |
 * | to `ttl + staleIfError` | what is looked up, or the entry when that fails | |
 * | older | what is looked up | |
 *
 * - One look-up at a time for each key: who asks meanwhile waits for the same one. Interrupting one who waits does not
 *   stop it for the others; when the last one goes, it is interrupted.
 * - Entries are kept encoded with a `Schema`. One that does not decode any more, after a deployment say, is a miss; the
 *   signal says so and it is removed.
 * - A store that is down or slow makes a miss, never a failure. In memory there are at most `capacity` entries.
 * - Each answer emits a `CacheServed` signal, and {@link ResponseCache.stats} has the hit ratio.
 *
 * What it does not do: it caches no failures, and it knows nothing of what its replies depend on. Put into the key all that
 * may change the reply, the tenant included; {@link promptKey} makes one of a prompt.
 *
 * **Gotchas**
 *
 * A look-up runs with the context of the call that started it, so its deadline is the one of that call. A look-up in
 * the background may outlive its request.
 *
 * **Example** (One question, asked once)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ResponseCache } from "effect-resilience"
 *
 * let asked = 0
 * const ask = (question: string) => Effect.sync(() => `answer ${++asked} to ${question}`)
 *
 * class Replies extends ResponseCache.Service<Replies>()("app/Replies", {
 *   schema: Schema.String,
 *   key: (question: string) => Effect.succeed(question),
 *   ttl: "10 minutes",
 *   staleFor: "1 hour",
 *   capacity: 10_000
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const replies = yield* Replies
 *   const answer = replies.through(ask)
 *   const both = yield* Effect.all([answer("why?"), answer("why?")], { concurrency: 2 })
 *   return [...both, yield* answer("why?")]
 * })
 *
 * const layer = Replies.layer
 * await Effect.runPromise(Effect.provide(program, layer)) // => ["answer 1 to why?", "answer 1 to why?", "answer 1 to why?"]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { positiveInteger } from "./internal/options.ts"
import { cache, type Settings, spansOf } from "./internal/responseCache/cache.ts"
import { canonical } from "./internal/responseCache/canonical.ts"
import { layerStoreMemory, ResponseCacheStore } from "./internal/responseCache/storeLayers.ts"
import { sha256 } from "./internal/sha256.ts"
import type * as Signal from "./Signal.ts"

export {
  isStoreError,
  type Kept,
  layerStoreMemory,
  layerStorePersistence,
  layerStoreRedis,
  ResponseCacheStore,
  type Store,
  StoreError,
  type StoreOptions
} from "./internal/responseCache/storeLayers.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/ResponseCache"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/ResponseCache"

/**
 * Options of a cache whose name is given elsewhere, as in {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnnamedOptions<in Request, in out A> extends Times {
  /** What tells one request from another. See {@link promptKey}. */
  readonly key: (request: Request) => Effect.Effect<string>
  /** How values are kept. It needs no services. */
  readonly schema: Schema.ConstraintCodec<A, unknown>
  /** Which values are kept. Default: all. Say no to what was served in place of the real reply. */
  readonly cacheable?: ((value: A) => boolean) | undefined
}

/**
 * The options of a cache that are plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Times {
  /** How long a value is fresh. Above zero. */
  readonly ttl: Duration.Input
  /** How long after that it is still served while it is looked up again. Default: zero. */
  readonly staleFor?: Duration.Input | undefined
  /** How long after `ttl` it is still served when looking it up fails. Default: `staleFor`. */
  readonly staleIfError?: Duration.Input | undefined
  /** How many entries are kept in memory. The one used longest ago goes first. Other stores are bounded by time. */
  readonly capacity: number
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in Request, in out A> extends UnnamedOptions<Request, A> {
  /** What signals call it, and what its entries are kept under. */
  readonly name: string
}

/**
 * A value and where it came from.
 *
 * `age` is the time since it was looked up, zero when that was just now.
 *
 * @category models
 * @since 0.1.0
 */
export interface Served<out A> {
  readonly value: A
  readonly result: "hit" | "miss" | "stale"
  readonly reason: Signal.CacheReason | undefined
  readonly age: Duration.Duration
}

/**
 * A look-up behind a cache: call it with a request. `served` also says where the value came from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Through<in Request, out A, out E, out R> {
  (request: Request): Effect.Effect<A, E, R>
  readonly served: (request: Request) => Effect.Effect<Served<A>, E, R>
}

/**
 * What a cache has done since it was made.
 *
 * - `hits`, `stale`, `misses`: the answers. A call that waited for the look-up of another one is a miss and counted in
 *   `joined` as well.
 * - `hitRatio`: hits and stale answers of all answers, from 0 to 1; `undefined` before the first one.
 * - `storeErrors`: what the store could not do.
 * - `refreshErrors`: look-ups in the background that failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly hits: number
  readonly stale: number
  readonly misses: number
  readonly joined: number
  readonly hitRatio: number | undefined
  readonly storeErrors: number
  readonly refreshErrors: number
}

/**
 * A cache of replies.
 *
 * - `through`: puts a look-up behind the cache. Make it once and call it often: calls of the same one share look-ups.
 * - `peek`: what is kept, of any age that may still be served, without looking anything up; `None` where there is
 *   nothing. For a last resort when all else failed. It emits no signal.
 * - `set`: keeps a value that came another way.
 * - `invalidate`: forgets a value. A look-up that is under way still stores its own.
 * - `stats`: what it has done.
 * - `reconfigure`: other times from now on. What is kept is as fresh as they say, as far as it has not been let go.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseCache<in out Request, in out A> {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly through: <E, R>(lookup: (request: Request) => Effect.Effect<A, E, R>) => Through<Request, A, E, R>
  readonly peek: (request: Request) => Effect.Effect<Option.Option<Served<A>>>
  readonly set: (request: Request, value: A) => Effect.Effect<void>
  readonly invalidate: (request: Request) => Effect.Effect<void>
  readonly stats: Effect.Effect<Stats>
  /** Throws a `RangeError` for a time out of its range. */
  readonly reconfigure: (times: Omit<Times, "capacity">) => Effect.Effect<void>
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isResponseCache = (u: unknown): u is ResponseCache<never, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * A cache of one's own, over the {@link ResponseCacheStore} of the program. Look-ups that are under way are interrupted
 * when its scope closes.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (Stale when the model is down)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ResponseCache } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * let up = true
 * const ask = (_: string) => Effect.suspend(() => up ? Effect.succeed("a reply") : Effect.fail("down"))
 *
 * const program = Effect.gen(function*() {
 *   const cache = yield* ResponseCache.make({
 *     name: "replies",
 *     schema: Schema.String,
 *     key: (question: string) => Effect.succeed(question),
 *     ttl: "1 minute",
 *     staleIfError: "1 day",
 *     capacity: 100
 *   })
 *   const answer = cache.through(ask)
 *   yield* answer("why?")
 *   up = false
 *   yield* TestClock.adjust("1 hour")
 *   const { reason, result, value } = yield* answer.served("why?")
 *   return [value, result, reason]
 * })
 *
 * const replies = program.pipe(
 *   Effect.scoped,
 *   Effect.provide([ResponseCache.layerStoreMemory, TestClock.layer()])
 * )
 * await Effect.runPromise(replies) // => ["a reply", "stale", "Error"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Request, A>(
  options: Options<Request, A>
): Effect.Effect<ResponseCache<Request, A>, never, ResponseCacheStore | Scope.Scope> => {
  const settings = check(options.name, options, options)
  return Effect.gen(function*() {
    const stores = yield* ResponseCacheStore
    const scope = yield* Effect.scope
    const store = yield* stores.make({ name: options.name, capacity: settings.capacity })
    return cache(TypeId, settings, store, scope)
  })
}

/**
 * A cache as a service, made by {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out Request, in out A>
  extends Context.ServiceClass<Self, Id, ResponseCache<Request, A>>
{
  /** With the options it was declared with, in memory. */
  readonly layer: Layer.Layer<Self>
  /** With the options it was declared with, over the program's {@link ResponseCacheStore}. */
  readonly layerStored: Layer.Layer<Self, never, ResponseCacheStore>
  /** With times and capacity from `Config`, over the program's {@link ResponseCacheStore}. */
  readonly layerConfig: (options: Config.Wrap<Times>) => Layer.Layer<Self, Config.ConfigError, ResponseCacheStore>
  /** Keeps nothing: each call is a miss and looks up for itself. */
  readonly layerNoop: Layer.Layer<Self>
}

/**
 * Declares a cache as a service.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, Request, A>(
  id: Id,
  options: UnnamedOptions<Request, A>
): ServiceClass<Self, Id, Request, A> => {
  const Tag = Context.Service<Self, ResponseCache<Request, A>>()(id)
  const layerOf = (times: Times): Layer.Layer<Self, never, ResponseCacheStore> => {
    const { cacheable, key, schema } = options
    const { capacity, staleFor, staleIfError, ttl } = times
    return Layer.effect(Tag, make({ name: id, key, schema, cacheable, capacity, staleFor, staleIfError, ttl }))
  }
  const layerStored = layerOf(options)
  return Object.assign(Tag, {
    layer: Layer.provide(layerStored, layerStoreMemory),
    layerStored,
    layerConfig: (times: Config.Wrap<Times>) => layerFromConfig(times, layerOf),
    layerNoop: Layer.effect(
      Tag,
      Effect.map(Effect.scope, (scope) => cache(TypeId, check(id, options, options), undefined, scope))
    )
  })
}

/**
 * What a reply of a language model depends on.
 *
 * - `messages`: the prompt, in any shape that is plain data: text, messages, an `effect/ai` `Prompt`.
 * - `temperature`: and every other setting that changes the reply belongs in here or in `more`.
 * - `more`: what else tells two replies apart, such as tools, the response's format, the tenant.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromptKey {
  readonly messages: unknown
  readonly model: string
  readonly temperature?: number | undefined
  readonly more?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A key made of a prompt: the SHA-256 of it all in one canonical form, so that the order of fields does not matter and no
 * word of the prompt ends up in a key.
 *
 * A value that is no plain data (a function, a symbol, a `Map`) dies with a `RangeError`.
 *
 * **Example** (The same prompt)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ResponseCache } from "effect-resilience"
 *
 * const one = ResponseCache.promptKey({ model: "m", messages: [{ role: "user", content: "why?" }], temperature: 0 })
 * const two = ResponseCache.promptKey({ messages: [{ content: "why?", role: "user" }], temperature: 0, model: "m" })
 *
 * const keys = await Effect.runPromise(Effect.all([one, two]))
 * const same = keys[0] === keys[1] // => true
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
export const promptKey = (parts: PromptKey): Effect.Effect<string> =>
  Effect.suspend(() => {
    const bytes = new TextEncoder().encode(canonical([parts.model, parts.temperature, parts.messages, parts.more]))
    return bytes.length <= shortBytes ? Effect.succeed(Hex.encode(sha256(bytes))) : digestHex(bytes)
  })

/** So many bytes are hashed before WebCrypto's answer to them would have come. */
const shortBytes = 4_096

const digestHex = (bytes: Uint8Array): Effect.Effect<string> =>
  Effect.provide(
    Effect.flatMap(Digest.Digest, (digest) => digest.digestHex(Digest.sha256, bytes)),
    Digest.layerWebCrypto
  )

const check = <Request, A>(
  name: string,
  times: Times,
  { cacheable, key, schema }: UnnamedOptions<Request, A>
): Settings<Request, A> => {
  return {
    name,
    key,
    schema,
    cacheable,
    capacity: positiveInteger("capacity", times.capacity),
    spans: spansOf(times)
  }
}
