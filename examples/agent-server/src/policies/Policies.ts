/**
 * The policies in force: those of the document, while documents come and go.
 *
 * Whoever needs a figure asks for it when a call begins, and whoever holds something that was made from figures is told when
 * they change: `whenever`. So a new document takes effect at once, and nothing that runs is dropped.
 */
import type * as Bulkhead from "effect-resilience/Bulkhead"
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Policy from "effect-resilience/Policy"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Availability from "../health/Availability.ts"
import { CannotStart } from "../startup/CannotStart.ts"
import { type Dependency, providers, Sections, type SpeechDependency } from "./document.ts"
import { explain, isMeant, lint } from "./explain.ts"
import { overridden, providerProblems, type Surroundings, type Values, valuesOf } from "./values.ts"

/** What a provider's policy may refuse a call with. */
export type ProviderRefusal = CircuitBreaker.CircuitOpen | Bulkhead.BulkheadRejected

/**
 * The policies of this server.
 *
 * - `now`: the figures in force. `changes`: those, and each time that there are others.
 * - `whenever`: does something with them now, and each time before a new document counts as in force, until the scope closes.
 * - `at`: goes around a call with all of its retries. The breaker is outermost: it counts calls that failed for good, and not each
 *   attempt of a provider that has bad luck now and then.
 * - `breakers`: of all providers.
 */
export class Policies extends Context.Service<
  Policies,
  Policy.Documents & {
    readonly now: Effect.Effect<Values>
    readonly changes: Stream.Stream<Values>
    readonly whenever: <R>(
      apply: (values: Values) => Effect.Effect<unknown, never, R>
    ) => Effect.Effect<void, never, R | Scope.Scope>
    readonly at: (
      provider: Dependency | SpeechDependency
    ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProviderRefusal, R>
    readonly breakers: Effect.Effect<ReadonlyArray<CircuitBreaker.Breaker>>
  }
>()("agent-server/policies/Policies") {}

/** Where the document is, and what it stands in. */
export interface Options extends Surroundings {
  readonly path: string
  /** When to look at the file again. */
  readonly reload?: Schedule.Schedule<unknown> | undefined
}

/** The document before there is one. */
const nothing = JSON.stringify({ policies: {} })

const nothingYet = (): never => {
  throw new Error("The policies were asked before their document was in force")
}

/** The document in force, and what it comes to. */
interface InForce extends Omit<Effect.Success<Policy.Documents["current"]>, "refused"> {
  readonly values: Values
}

const make = Effect.fnUntraced(function*({ path, reload, ...surroundings }: Options) {
  const registry = yield* Policy.fromText(nothing, { bindings: { health: Availability.changes } }).pipe(Effect.orDie)
  /** One document at a time. */
  const turn = Semaphore.makeUnsafe(1)
  const appliers = new Set<(values: Values) => Effect.Effect<unknown>>()
  const state = yield* SubscriptionRef.make<InForce | undefined>(undefined)
  let refused: Policy.PolicyDocumentInvalid | undefined

  const examine = (text: string): Effect.Effect<readonly [string, Values], ReadonlyArray<Policy.Problem>> =>
    Effect.gen(function*() {
      const { policies, problems, sections } = Policy.split(text, Sections)
      const found = [...problems]
      const values = sections === undefined ? undefined : valuesOf(sections, surroundings, found)
      if (policies !== undefined) {
        const checked = yield* Effect.result(registry.check(policies))
        if (Result.isFailure(checked)) found.push(...checked.failure.problems)
        found.push(...providerProblems(policies).filter(({ path }) => !found.some((other) => other.path === path)))
      }
      return policies === undefined || values === undefined || found.length > 0
        ? yield* Effect.fail(found)
        : [overridden(policies, surroundings.overrides), values]
    })

  const refuse = (error: Policy.PolicyDocumentInvalid) =>
    Effect.suspend(() => {
      refused = error
      return registry.refuse(error)
    })

  /** Checked as a whole, so that nothing of what follows fails. */
  const take = (text: string, source: string) =>
    Effect.gen(function*() {
      const [policies, values] = yield* Effect.catch(
        examine(text),
        (problems) => refuse(new Policy.PolicyDocumentInvalid({ source, problems }))
      )
      yield* Effect.orDie(registry.replace(policies, { source }))
      yield* Effect.forEach(appliers, (apply) => apply(values), { discard: true })
      refused = undefined
      const version = 1 + ((yield* SubscriptionRef.get(state))?.version ?? 0)
      yield* SubscriptionRef.set(state, { values, text, source, version, loadedAt: yield* DateTime.now })
      return { source, version }
    })

  const now = Effect.map(SubscriptionRef.get(state), (current) => (current ?? nothingYet()).values)
  const documents: Policy.Documents = {
    current: Effect.map(SubscriptionRef.get(state), (current) => ({
      version: current?.version ?? 0,
      source: current?.source ?? "",
      text: current?.text ?? "",
      loadedAt: current?.loadedAt ?? DateTime.makeUnsafe(0),
      refused
    })),
    replace: (text, { source = "replace" } = {}) => turn.withPermit(Effect.uninterruptible(take(text, source))),
    refuse,
    explain: Effect.map(
      Effect.all([registry.explain, now]),
      ([ofProviders, values]) => `${explain(values)}\n\n${ofProviders}`
    ),
    lint: Effect.map(
      Effect.all([registry.lint, now]),
      ([ofProviders, values]) => [...ofProviders.filter(isMeant), ...lint(values, surroundings)]
    )
  }
  yield* Effect.mapError(
    Policy.follow(documents, path, { reload }),
    ({ problems }) =>
      new CannotStart({
        lines: problems.map(({ message, path: at }) => `POLICIES: ${path}: ${at === "" ? "" : `${at}: `}${message}`)
      })
  )

  const whenever = <R>(apply: (values: Values) => Effect.Effect<unknown, never, R>) =>
    Effect.gen(function*() {
      const context = yield* Effect.context<R>()
      const applied = (values: Values) => Effect.provideContext(apply(values), context)
      const add = turn.withPermit(Effect.flatMap(now, (values) => {
        appliers.add(applied)
        return applied(values)
      }))
      yield* Effect.acquireRelease(add, () => Effect.sync(() => appliers.delete(applied)))
    })

  return Policies.of({
    ...documents,
    now,
    changes: Stream.map(SubscriptionRef.changes(state), (current) => (current ?? nothingYet()).values),
    whenever,
    at: (provider) => (self) =>
      Effect.flatMap(Effect.orDie(registry.get(provider)), (policy) => asProvider(policy.run(self))),
    breakers: Effect.map(
      Effect.forEach(providers, (provider) => Effect.orDie(registry.get(provider))),
      (policies) => policies.flatMap(({ breaker }) => breaker ?? [])
    )
  })
})

/** A provider's policy has a breaker, a bulkhead and retries, see `parts`, so it fails with nothing of what others may. */
const asProvider = <A, E, R>(
  self: Effect.Effect<A, E | Policy.DataError, R>
): Effect.Effect<A, E | ProviderRefusal, R> => self as Effect.Effect<A, E | ProviderRefusal, R>

/** Puts the document of a file in force, and follows it. */
export const layer = (
  options: Options
): Layer.Layer<
  Policies,
  CannotStart,
  FileSystem.FileSystem | CircuitBreaker.CircuitBreakerStore | RateLimiter.RateLimiter
> => Layer.effect(Policies, make(options))
