/** The store in Redis: one script for every step, bounded in time, and the leases of the calls that run. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import type { CircuitState } from "../../Signal.ts"
import { answerWithin } from "../answerWithin.ts"
import { monotonicMillis } from "../monotonic.ts"
import { positiveMillis } from "../options.ts"
import { CircuitStoreError } from "./errors.ts"
import type { Reason } from "./machine.ts"
import { rateOf } from "./memory.ts"
import type { Policy } from "./policy.ts"
import { encode, type Request, script, storeTime } from "./redis.ts"
import { report } from "./remote.ts"
import { type Admission, CircuitBreakerStore, type Circuits, type Move, type Snapshot, StoreTypeId } from "./store.ts"
import type { Rule } from "./trip.ts"

/**
 * Options of {@link layerStoreRedis}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisOptions {
  /** What the names of all keys begin with. Default `"circuit-breaker:"`. */
  readonly prefix?: string | undefined
  /** What becomes of a call while Redis does not answer: `"closed"` (default) runs it unrecorded, `"open"` rejects it. */
  readonly onStoreError?: "open" | "closed" | undefined
  /** How long to wait for an answer. Default 50 milliseconds. */
  readonly timeout?: Duration.Input | undefined
  /** How long a call is believed to run when nothing is heard of its process. Renewed while it does. Default 10 seconds. */
  readonly lease?: Duration.Input | undefined
}

/**
 * After so many failures in a row the store is left alone for so long: calls are then decided at once, not each after its
 * own timeout.
 */
const failuresBeforeRest = 3
const restMillis = 1000

export const make = (
  options: RedisOptions,
  time: string
): Layer.Layer<CircuitBreakerStore, never, Redis.Redis> => {
  const prefix = options.prefix ?? "circuit-breaker:"
  const mode = options.onStoreError ?? "closed"
  const timeout = positiveMillis("timeout", options.timeout ?? "50 millis")
  const leaseMillis = positiveMillis("lease", options.lease ?? "10 seconds")
  const step = script(time)
  return Layer.effect(
    CircuitBreakerStore,
    Effect.gen(function*() {
      const redis = yield* Redis.Redis
      const evaluate = redis.eval(step)
      let restsUntil = -Infinity
      let failures = 0

      /** The race has fibers of its own, which may be interrupted where the caller may not. */
      const bounded = <A>(operation: string, self: Effect.Effect<A, Redis.RedisError>) =>
        answerWithin(
          Effect.mapError(Effect.interruptible(self), ({ cause }) => new CircuitStoreError({ operation, cause })),
          timeout,
          Effect.suspend(() =>
            Effect.fail(new CircuitStoreError({ operation, cause: `no answer within ${timeout} ms` }))
          )
        )

      /** Tells of the first failure in a row only. */
      const failed = (error: CircuitStoreError) =>
        Effect.withFiber((fiber) => {
          failures++
          if (failures >= failuresBeforeRest) restsUntil = monotonicMillis(fiber) + restMillis
          return failures === 1 ? report("A circuit breaker's store does not answer", error) : Effect.void
        })
      const answered = () => {
        failures = 0
        restsUntil = -Infinity
      }

      return CircuitBreakerStore.of({
        [StoreTypeId]: StoreTypeId,
        open: Effect.fnUntraced(function*({ idleMillis, name }) {
          const circuitKey = (key: string) => `${prefix}{${encodeName(name)}:${encodeName(key)}}`
          const policies = new WeakMap<Policy, string>()
          const encoded = (policy: Policy) => {
            let text = policies.get(policy)
            if (text === undefined) policies.set(policy, text = encode(policy, { leaseMillis, idleMillis }))
            return text
          }
          const ask = (operation: string, key: string, policy: Policy, request: Request) =>
            bounded(operation, evaluate(circuitKey(key), encoded(policy), request)).pipe(
              Effect.tap(Effect.sync(answered))
            )

          const leases = new Leases()
          const renewing = Effect.withFiber((fiber) =>
            Effect.forEach(
              leases.olderThan(monotonicMillis(fiber) - leaseMillis / 3),
              ({ ids, key, policy }) => ask("renew leases", key, policy, ["renew", ...ids]).pipe(Effect.catch(failed)),
              { discard: true }
            )
          )
          yield* Effect.sleep(leaseMillis / 3).pipe(Effect.andThen(renewing), Effect.forever, Effect.forkScoped)

          const circuits: Circuits = {
            admit: (key, policy, chance) =>
              Effect.withFiber((fiber) => {
                const now = monotonicMillis(fiber)
                const unavailable = { _tag: "Unavailable", mode, retryAfter: restMillis } as const
                if (now < restsUntil) return Effect.succeed(unavailable)
                return ask("admit a call", key, policy, ["admit", chance]).pipe(
                  Effect.map(admissionOf),
                  Effect.tap((admission) =>
                    Effect.sync(() => {
                      if (admission._tag === "Admitted") leases.add(key, policy, admission.permit, now)
                    })
                  ),
                  Effect.catch((error) => Effect.as(failed(error), unavailable))
                )
              }),
            settle: (key, policy, { hint, millis, permit, verdict }) =>
              Effect.withFiber((fiber) => {
                leases.remove(key, permit)
                // The lease gives back what the call had taken.
                if (monotonicMillis(fiber) < restsUntil) return Effect.succeed([])
                return ask("settle a call", key, policy, ["settle", permit, verdict, millis, finite(hint)]).pipe(
                  Effect.map((moves) => moves.map(moveOf)),
                  Effect.tapError(failed)
                )
              }),
            command: (key, policy, command) =>
              Effect.map(ask(command, key, policy, ["command", command]), (moves) => moves.map(moveOf)),
            read: (key, policy) => Effect.map(ask("read a circuit", key, policy, ["read"]), snapshotOf(key)),
            list: Effect.fnUntraced(function*(policy) {
              const pattern = escapeGlob(`${prefix}{${encodeName(name)}:`) + "*}"
              const start = circuitKey("").length - 1
              const keys = new Set<string>()
              let cursor = "0"
              do {
                const [next, found] = yield* bounded(
                  "list circuits",
                  redis.send<[string, Array<string>]>("SCAN", cursor, "MATCH", pattern, "COUNT", "500")
                )
                for (const key of found) keys.add(decodeURIComponent(key.slice(start, -1)))
                cursor = next
              } while (cursor !== "0")
              return yield* Effect.forEach(keys, (key) => circuits.read(key, policy), { concurrency: 16 })
            })
          }
          return circuits
        })
      })
    })
  )
}

export const layerStoreRedis = (options: RedisOptions = {}): Layer.Layer<CircuitBreakerStore, never, Redis.Redis> =>
  make(options, storeTime)

/** The calls of this process that run, by circuit. */
class Leases {
  private readonly byKey = new Map<string, { policy: Policy; readonly since: Map<string, number> }>()

  add(key: string, policy: Policy, permit: string, now: number): void {
    let held = this.byKey.get(key)
    if (held === undefined) this.byKey.set(key, held = { policy, since: new Map() })
    held.policy = policy
    held.since.set(permit, now)
  }
  remove(key: string, permit: string): void {
    const held = this.byKey.get(key)
    if (held !== undefined && held.since.delete(permit) && held.since.size === 0) this.byKey.delete(key)
  }
  /** The calls that began before `time`; most calls are over before anybody asks. */
  olderThan(
    time: number
  ): ReadonlyArray<{ readonly key: string; readonly policy: Policy; readonly ids: Array<string> }> {
    return Array.from(this.byKey, ([key, { policy, since }]) => ({
      key,
      policy,
      ids: Array.from(since).flatMap(([permit, began]) => began <= time ? [permit.slice(permit.indexOf(":") + 1)] : [])
    })).filter(({ ids }) => ids.length > 0)
  }
}

/** Infinity is no number to Lua. */
const finite = (value: number): number => Math.min(value, Number.MAX_SAFE_INTEGER)

/** Braces and colons would move a name into another's place, stars and the like match more than one. */
const encodeName = (name: string): string =>
  encodeURIComponent(name.toWellFormed()).replace(
    /[*!'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

const escapeGlob = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")

const admissionOf = ([decision, second, third, ...rest]: ReadonlyArray<string | number>): Admission => {
  const moves = rest.map(moveOf)
  return decision === "admitted"
    ? { _tag: "Admitted", permit: String(second), state: third as CircuitState, moves }
    : { _tag: "Refused", state: second as CircuitState, retryAfter: Number(third), moves }
}

const moveOf = (text: string | number): Move => {
  const [from, to, reason, openFor, openings] = String(text).split("|") as [
    CircuitState,
    CircuitState,
    Reason,
    ...Array<string>
  ]
  return openFor === undefined
    ? { from, to, reason }
    : { from, to, reason, openFor: Number(openFor), openings: Number(openings) }
}

const snapshotOf = (key: string) => (answer: ReadonlyArray<string | number>): Snapshot => {
  const [state, retryAfter, openings, inFlight, probing, admitted, ...tallies] = answer
  const rules: Array<Snapshot["rules"][number]> = []
  for (let i = 0; i < tallies.length; i += 3) {
    const [rule, calls, bad] = [tallies[i] as Rule["_tag"], Number(tallies[i + 1]), Number(tallies[i + 2])]
    rules.push({ rule, calls, bad, rate: rateOf(calls, bad) })
  }
  return {
    key,
    state: state as CircuitState,
    retryAfter: Number(retryAfter),
    openings: Number(openings),
    inFlight: Number(inFlight),
    probing: Number(probing),
    admitted: Number(admitted),
    rules
  }
}
