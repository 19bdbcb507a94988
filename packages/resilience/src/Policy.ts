/**
 * Several policies as one value, in an order that has been thought about.
 *
 * {@link make} takes what is to be done around a call and composes it, from the outside in:
 *
 * | part | why there |
 * | --- | --- |
 * | `fallback`, a function | outside of the deadline: a call that was cut has a reply too |
 * | `deadLetter` | after all else failed, and whatever is replied |
 * | `deadline.total` | bounds the waiting for limits and places too |
 * | `cache` | a kept answer costs no limit, place or attempt |
 * | `fallback`, a chain | what follows is there for each route apart |
 * | `limit` | a call takes once, however often it is tried; a refusal is no failure of the dependency |
 * | `breaker` | outside of the retries: it counts calls that failed for good |
 * | `bulkhead` | a call that the breaker refuses takes no place |
 * | `deadline.call` | ends inside of the breaker, so that a call that hangs counts |
 * | `retry` | |
 * | `deadline.attempt` | one attempt that hangs leaves time for another |
 * | `hedge` | to all the others the two attempts are one |
 *
 * What is left out is not there and costs nothing. The type of the policy says what it adds to the errors of a call.
 *
 * The same can be written as data, one policy or many in a document: {@link Config}, {@link parse}, {@link layerFromFile}.
 *
 * What it does not do: it sees one call and knows no HTTP; for Effect's client see `HttpClientPolicy`.
 *
 * **Gotchas**
 *
 * A policy holds circuits, places and budgets: make it once, not in the function that makes the call.
 *
 * **Example** (Five seconds, two attempts, and a circuit)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Policy, Retry } from "effect-resilience"
 *
 * let attempts = 0
 * const call = Effect.suspend(() => ++attempts === 1 ? Effect.fail("a glitch") : Effect.succeed("an answer"))
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* Policy.make({
 *     name: "payments",
 *     deadline: { total: "5 seconds", attempt: "2 seconds" },
 *     retry: Retry.backoff({ base: "1 millis", times: 1 }),
 *     breaker: { trip: CircuitBreaker.consecutive(5) }
 *   })
 *   return yield* policy.run(call, { key: "eu" })
 * })
 *
 * await Effect.runPromise(
 *   program.pipe(Effect.scoped, Effect.provide(CircuitBreaker.layerStoreMemory))
 * ) // => "an answer"
 * ```
 *
 * @since 0.1.0
 */
import * as EffectConfig from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { CircuitBreakerStore } from "./CircuitBreaker.ts"
import { positiveInteger } from "./internal/options.ts"
import * as Documents from "./internal/policy/document.ts"
import type { Split } from "./internal/policy/document.ts"
import type { Bindings } from "./internal/policy/entry.ts"
import { PolicyDocumentInvalid } from "./internal/policy/errors.ts"
import * as Files from "./internal/policy/file.ts"
import type { ErrorOf, MakingOf, Options, ServicesOf, TraitsOf } from "./internal/policy/options.ts"
import { partsOf } from "./internal/policy/parts.ts"
import * as Registries from "./internal/policy/policies.ts"
import { Composed, type Policy, typed } from "./internal/policy/policy.ts"
import * as Composing from "./internal/policy/policy.ts"
import * as Schemas from "./internal/policy/schema.ts"
import type * as Services from "./internal/policy/service.ts"
import type { RateLimiter } from "./RateLimiter.ts"
import * as ResponseCache from "./ResponseCache.ts"

export type { Split } from "./internal/policy/document.ts"
export type { Bindings, CacheBinding } from "./internal/policy/entry.ts"
export { PolicyDocumentInvalid, PolicyNotFound, type Problem } from "./internal/policy/errors.ts"
export type { Warning, WarningCode } from "./internal/policy/lint.ts"
export type {
  CallOptions,
  ErrorOf,
  LimitOptions,
  MakingOf,
  Options,
  Plain,
  ServicesOf,
  Times,
  Traits,
  TraitsOf
} from "./internal/policy/options.ts"
export type { CallArguments, Policy } from "./internal/policy/policy.ts"
export type {
  Change,
  Current,
  DataCallOptions,
  DataError,
  Documents,
  PolicyFromData
} from "./internal/policy/service.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = Composing.TypeId

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Policy"

/**
 * @category guards
 * @since 0.1.0
 */
export const isPolicy = (u: unknown): u is Policy<unknown, unknown> => Predicate.hasProperty(u, TypeId)

/** An option that there is not. */
type NoOthers<O> = { readonly [Name in Exclude<keyof O, keyof Options>]: never }

/**
 * The policy of these options.
 *
 * @category models
 * @since 0.1.0
 */
export type Made<O> = Policy<ErrorOf<O>, ServicesOf<O>, TraitsOf<O>>

/**
 * A policy of all that is given. A breaker is made in the `CircuitBreakerStore` and for as long as the scope, a limit counts in
 * the `RateLimiter`.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options>(
  options: O & NoOthers<O>
): Effect.Effect<Made<O>, never, MakingOf<O>> => {
  const parts = partsOf(options)
  // What the parts need depends on the options in the way that `MakingOf` says.
  return Effect.map(parts, (made) => typed(new Composed(made, options))) as Effect.Effect<Made<O>, never, MakingOf<O>>
}

/**
 * {@link make} as a layer for a tag of your own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, const O extends Options>(
  tag: Context.Key<Self, Made<O>>,
  options: O & NoOthers<O>
): Layer.Layer<Self, never, Exclude<MakingOf<O>, Scope.Scope>> => Layer.effect(tag, make(options))

/**
 * One policy as data, without its name: what {@link make} takes, where times are text such as `"2 seconds"` and what is a
 * function is not there. `docs/Policy.md` has all of it.
 *
 * With `{ errors: "all", onExcessProperty: "error" }` decoding tells everything that is wrong, keys that there are not
 * included. {@link parse} does.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Config = Schemas.Config

/**
 * @category schemas
 * @since 0.1.0
 */
export type Config = Schemas.Config

/**
 * Policies by name: `{ "policies": { ... } }`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Document = Schemas.Document

/**
 * @category schemas
 * @since 0.1.0
 */
export type Document = Schemas.Document

/**
 * What a text of YAML or JSON says, or everything that is wrong with it: what cannot be read, keys that there are not, values
 * out of their range, policies that name each other in a circle.
 *
 * **Example** (All problems at once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Policy } from "effect-resilience"
 *
 * const text = `
 * policies:
 *   payments:
 *     deadline: -2 seconds
 *     bulkhed: { limit: 5 }
 *     breaker:
 *       trip: { kind: consecutive, failures: 0 }
 * `
 * const error = await Effect.runPromise(Effect.flip(Policy.parse(text)))
 * const paths = error.problems.map(({ path }) => path).toSorted().map((path) => path.slice("policies.payments.".length))
 * paths // => ["breaker.trip.failures", "bulkhed", "deadline"]
 * ```
 *
 * @category documents
 * @since 0.1.0
 */
export const parse = (
  text: string,
  options?: DocumentOptions
): Effect.Effect<Document, PolicyDocumentInvalid> =>
  Effect.suspend(() => {
    const { document, problems } = Documents.parse(text, maxSizeOf(options))
    return problems.length === 0
      ? Effect.succeed(document)
      : Effect.fail(new PolicyDocumentInvalid({ source: "text", problems }))
  })

/**
 * Reads a document that has other sections beside its `policies`: decodes these, and gives the policies as a document of their own, for
 * `policies.check` and `policies.replace`. `problems` has everything that is wrong with the sections, or with the text as a whole; what is
 * wrong with the policies, these two tell.
 *
 * **Example** (Policies, and what else operators tune)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Policy } from "effect-resilience"
 *
 * const text = `
 * policies:
 *   payments: { deadline: 5 seconds }
 * checkout: { maxItems: many }
 * `
 * const Sections = Schema.Struct({ checkout: Schema.Struct({ maxItems: Schema.Int }) })
 * const { policies, problems } = Policy.split(text, Sections)
 * const alone = await Effect.runPromise(Policy.parse(policies ?? ""))
 * const found = [Object.keys(alone.policies), problems[0]?.path] // => [["payments"], "checkout.maxItems"]
 * ```
 *
 * @category documents
 * @since 0.1.0
 */
export const split = <A>(
  text: string,
  sections: Schema.ConstraintDecoder<A>,
  options?: DocumentOptions
): Split<A> => Documents.split(text, sections, maxSizeOf(options))

/**
 * Options of what reads documents.
 *
 * @category models
 * @since 0.1.0
 */
export interface DocumentOptions {
  /** The most characters that a document may have. Default 262,144. */
  readonly maxSize?: number | undefined
}

/**
 * Options of {@link fromText} and the layers of documents.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoliciesOptions extends DocumentOptions {
  /** What policies refer to and is no data. */
  readonly bindings?: Bindings | undefined
}

/**
 * Options of {@link layerFromFile}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends PoliciesOptions {
  /** When to look at the file again. Default: never. */
  readonly reload?: Schedule.Schedule<unknown> | undefined
}

/**
 * The policies of a document: each by its name, all of them replaced at once.
 *
 * @category services
 * @since 0.1.0
 */
export class Policies extends Context.Service<Policies, Services.Policies>()("effect-resilience/Policy/Policies") {}

/** What policies of documents are made with. */
type Rooms = CircuitBreakerStore | RateLimiter

/**
 * The policies of a text of YAML or JSON. They keep replies in the `ResponseCacheStore`, where there is one, and else in memory.
 *
 * **Example** (From data)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker, Policy, RateLimiter } from "effect-resilience"
 *
 * const document = `
 * policies:
 *   payments:
 *     deadline: { total: 5 seconds, attempt: 1500 millis }
 *     retry: { times: 2 }
 *     breaker: { trip: { kind: failureRate, threshold: 0.5, window: 30 seconds } }
 * `
 *
 * const program = Effect.gen(function*() {
 *   const policies = yield* Policy.fromText(document)
 *   return yield* policies.run("payments", Effect.succeed("paid"))
 * })
 *
 * const stores = Layer.merge(
 *   CircuitBreaker.layerStoreMemory,
 *   Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
 * )
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(stores))) // => "paid"
 * ```
 *
 * @category documents
 * @since 0.1.0
 */
export const fromText = (
  text: string,
  options: PoliciesOptions = {}
): Effect.Effect<Policies["Service"], PolicyDocumentInvalid, Rooms | Scope.Scope> =>
  policies(options, (documents) => documents.replace(text, { source: "text" }))

/**
 * {@link fromText} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFromText = (
  text: string,
  options: PoliciesOptions = {}
): Layer.Layer<Policies, PolicyDocumentInvalid, Rooms> => Layer.effect(Policies, fromText(text, options))

/**
 * The policies of a file of YAML or JSON, which follow it. A file that is no good when the layer is built fails it.
 *
 * On the `reload` schedule the file is read again. Where it says something else now, that is in force from then on, for the calls
 * that begin; those that run end as they began. Circuits keep their states, limits what was taken of them, bulkheads who is in
 * them and who waits. What is kept only as long as its own data are the same: a hedge's and a retry's budget, the rests of a
 * chain's routes, and of a cache in memory what it holds.
 *
 * A document that is no good is refused as a whole, and so is a file that is gone, half written or too large: what was in force
 * stays. It is told once, in the log and as a signal `PoliciesReloaded`, with every problem and its path.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFromFile = (
  path: string,
  options: FileOptions = {}
): Layer.Layer<Policies, PolicyDocumentInvalid, FileSystem.FileSystem | Rooms> =>
  Layer.effect(
    Policies,
    policies(options, (documents) => follow(documents, path, options))
  )

/**
 * Puts a file in force as documents of whatever kind, and follows it from then on as {@link layerFromFile} does: for an application
 * that has more in its file than policies.
 *
 * @category documents
 * @since 0.1.0
 */
export const follow = (
  documents: Services.Documents,
  path: string,
  options: Omit<FileOptions, "bindings"> = {}
): Effect.Effect<void, PolicyDocumentInvalid, FileSystem.FileSystem | Scope.Scope> =>
  Files.follow(documents, path, { maxSize: maxSizeOf(options), reload: options.reload })

/**
 * The policies of the program's `Config`, below a path if one is given: `POLICIES_POLICIES_PAYMENTS_DEADLINE` for one, or
 * whatever its provider makes of `policies.payments.deadline`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  path?: string,
  options: PoliciesOptions = {}
): Layer.Layer<Policies, EffectConfig.ConfigError | PolicyDocumentInvalid, Rooms> =>
  Layer.effect(
    Policies,
    policies(options, (documents) =>
      Effect.flatMap(
        EffectConfig.schema(Document, path),
        (document) => documents.replace(JSON.stringify(Schema.encodeSync(Document)(document)), { source: "config" })
      ))
  )

const policies = <A, E, R>(
  options: PoliciesOptions,
  begin: (documents: Policies["Service"]) => Effect.Effect<A, E, R>
): Effect.Effect<Policies["Service"], E, R | Rooms | Scope.Scope> => {
  const settings = { bindings: options.bindings ?? {}, maxSize: maxSizeOf(options) }
  return Effect.gen(function*() {
    const registry = yield* Registries.make(settings)
    const given = yield* Effect.serviceOption(ResponseCache.ResponseCacheStore)
    const store = Option.isSome(given)
      ? given.value
      : Context.get(yield* Layer.build(ResponseCache.layerStoreMemory), ResponseCache.ResponseCacheStore)
    const context = Context.add(yield* Effect.context<Rooms>(), ResponseCache.ResponseCacheStore, store)
    const service = registry.service((self) => Effect.provideContext(self, context))
    yield* begin(service)
    return service
  })
}

const maxSizeOf = (options: DocumentOptions | undefined): number =>
  positiveInteger("maxSize", options?.maxSize ?? Documents.defaultMaxSize)
