/** One cache over one store: who is served from what. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Failure from "../../Failure.ts"
import type { ResponseCache, Served, Stats, Through, Times, TypeId } from "../../ResponseCache.ts"
import * as Signal from "../../Signal.ts"
import { durationMillis, positiveMillis } from "../options.ts"
import { Flights } from "./flights.ts"
import { excusesStale, type Freshness, freshness, keepForMillis, type Spans } from "./freshness.ts"
import type { Store, StoreError } from "./storeLayers.ts"

export interface Settings<in Request, in out A> {
  readonly name: string
  readonly key: (request: Request) => Effect.Effect<string>
  readonly schema: Schema.ConstraintCodec<A, unknown>
  readonly cacheable: ((value: A) => boolean) | undefined
  readonly capacity: number
  spans: Spans
}

/** What looking into the store came to: an entry that may be served in some case, or why there is none. */
type Looked<A> =
  | { readonly _tag: "Entry"; readonly value: A; readonly age: Duration.Duration; readonly freshness: Freshness }
  | { readonly _tag: "None"; readonly reason: Signal.CacheReason }

/** Throws a `RangeError` for a time out of its range. */
export const spansOf = (times: Omit<Times, "capacity">): Spans => {
  const staleForMillis = durationMillis("staleFor", times.staleFor ?? 0)
  return {
    ttlMillis: positiveMillis("ttl", times.ttl),
    staleForMillis,
    staleIfErrorMillis: times.staleIfError === undefined
      ? staleForMillis
      : durationMillis("staleIfError", times.staleIfError)
  }
}

/** Without a store it keeps nothing and shares nothing. */
export const cache = <Request, A>(
  typeId: TypeId,
  settings: Settings<Request, A>,
  store: Store | undefined,
  scope: Scope.Scope
): ResponseCache<Request, A> => {
  const { name } = settings
  const codec = Schema.toCodecJson(settings.schema)
  const decode = Schema.decodeUnknownResult(codec)
  const encode = Schema.encodeResult(codec)
  const counts = { hit: 0, stale: 0, miss: 0, joined: 0, storeErrors: 0, refreshErrors: 0 }
  let storeIsUp = true

  /** Counts what the store could not do, and says once that it is down. */
  const storeFailed = (error: unknown): Effect.Effect<void> => {
    counts.storeErrors++
    if (!storeIsUp) return Effect.void
    storeIsUp = false
    return Effect.logWarning(`The cache "${name}" goes on without its store`, error)
  }

  const none = (reason: Signal.CacheReason): Looked<A> => ({ _tag: "None", reason })

  const forget = (key: string): Effect.Effect<void> =>
    store === undefined ? Effect.void : Effect.catch(store.remove(key), storeFailed)

  const undecodable = (key: string): Effect.Effect<Looked<A>> => Effect.as(forget(key), none("Undecodable"))

  const look = (key: string): Effect.Effect<Looked<A>> =>
    store === undefined ? Effect.succeed(none("Absent")) : Effect.matchEffect(store.get(key), {
      onFailure: (error: StoreError) =>
        error.reason === "Unreadable" ? undecodable(key) : Effect.as(storeFailed(error), none("StoreUnavailable")),
      onSuccess: (kept) => {
        storeIsUp = true
        if (kept === undefined) return Effect.succeed(none("Absent"))
        const fresh = freshness(settings.spans, Duration.toMillis(kept.age))
        if (fresh === "Expired") return Effect.succeed(none("Expired"))
        const value = decode(kept.value)
        return Result.isFailure(value)
          ? undecodable(key)
          : Effect.succeed<Looked<A>>({ _tag: "Entry", value: value.success, age: kept.age, freshness: fresh })
      }
    })

  const keep = (key: string, value: A): Effect.Effect<void> => {
    if (store === undefined || settings.cacheable?.(value) === false) return Effect.void
    const encoded = encode(value)
    return Result.isFailure(encoded)
      ? storeFailed(encoded.failure)
      : Effect.catch(store.set(key, encoded.success, Duration.millis(keepForMillis(settings.spans))), storeFailed)
  }

  const answer = (
    fiber: Fiber.Fiber<unknown, unknown>,
    value: A,
    result: Served<A>["result"],
    reason: Signal.CacheReason | undefined,
    age: Duration.Duration
  ): Effect.Effect<Served<A>> => {
    counts[result]++
    if (reason === "Joined") counts.joined++
    Signal.emitUnsafe(fiber, () => ({
      _tag: "CacheServed",
      cache: name,
      result,
      ...(reason === undefined ? {} : { reason })
    }))
    return Effect.succeed({ value, result, reason, age })
  }

  const through = <E, R>(lookup: (request: Request) => Effect.Effect<A, E, R>): Through<Request, A, E, R> => {
    const flights = new Flights<A, E>(scope)

    const lookUp = (request: Request, key: string): Effect.Effect<A, E, R> =>
      Effect.tap(Effect.suspend(() => lookup(request)), (value) => keep(key, value))

    /** Between a caller's look into the store and its turn here another look-up may have come and gone. */
    const lookAgain = (request: Request, key: string): Effect.Effect<A, E, R> =>
      Effect.flatMap(
        look(key),
        (found) =>
          found._tag === "Entry" && found.freshness === "Fresh" ? Effect.succeed(found.value) : lookUp(request, key)
      )

    const refresh = (request: Request, key: string): Effect.Effect<void, never, R> =>
      flights.background(
        key,
        Effect.onError(lookUp(request, key), () => Effect.sync(() => counts.refreshErrors++))
      )

    const served = (request: Request): Effect.Effect<Served<A>, E, R> =>
      Effect.withFiber((fiber) => {
        if (store === undefined) {
          return Effect.flatMap(lookup(request), (value) => answer(fiber, value, "miss", "Absent", Duration.zero))
        }
        return Effect.flatMap(settings.key(request), (key) =>
          Effect.flatMap(look(key), (found): Effect.Effect<Served<A>, E, R> => {
            if (found._tag === "Entry" && found.freshness === "Fresh") {
              return answer(fiber, found.value, "hit", undefined, found.age)
            }
            if (found._tag === "Entry" && found.freshness === "Stale") {
              return Effect.andThen(
                refresh(request, key),
                answer(fiber, found.value, "stale", "Revalidating", found.age)
              )
            }
            const flight = Effect.flatMap(
              flights.join(key, lookAgain(request, key)),
              ({ joined, value }) => {
                const reason = joined ? "Joined" : found._tag === "None" ? found.reason : "Expired"
                return answer(fiber, value, "miss", reason, Duration.zero)
              }
            )
            if (found._tag === "None") {
              return flight
            }
            return Effect.catchIf(
              flight,
              (error) =>
                excusesStale(Failure.infoUnsafe(fiber, error)),
              () => answer(fiber, found.value, "stale", "Error", found.age)
            )
          }))
      })

    return Object.assign((request: Request) => Effect.map(served(request), ({ value }) => value), { served })
  }

  const stats = (): Stats => {
    const { hit: hits, joined, miss: misses, refreshErrors, stale, storeErrors } = counts
    const answers = hits + stale + misses
    const hitRatio = answers === 0 ? undefined : (hits + stale) / answers
    return { hits, stale, misses, joined, hitRatio, storeErrors, refreshErrors }
  }

  return {
    [typeId]: typeId,
    name,
    through,
    peek: (request) =>
      Effect.map(
        Effect.flatMap(settings.key(request), look),
        (found): Option.Option<Served<A>> =>
          found._tag === "None" ? Option.none() : Option.some({
            value: found.value,
            result: found.freshness === "Fresh" ? "hit" : "stale",
            reason: undefined,
            age: found.age
          })
      ),
    set: (request, value) => Effect.flatMap(settings.key(request), (key) => keep(key, value)),
    invalidate: (request) => Effect.flatMap(settings.key(request), forget),
    stats: Effect.sync(stats),
    reconfigure: (times) => {
      const spans = spansOf(times)
      return Effect.sync(() => {
        settings.spans = spans
      })
    }
  }
}
