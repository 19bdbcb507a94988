/** Random histories of a store with a clock of its own, against the pure functions. */
import { assert } from "@effect/vitest"
import type { RateLimiterStore } from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Algorithms from "../../src/internal/rateLimiter/algorithms.ts"
import { decide } from "../../src/internal/rateLimiter/decide.ts"
import { Holds } from "../../src/internal/rateLimiter/holds.ts"
import * as Shape from "../../src/internal/rateLimiter/shape.ts"
import type { State } from "../../src/internal/rateLimiter/state.ts"
import { integerBetween, windowed } from "./histories.ts"

const minute = 60_000

/** Every kind of shape, with times in minutes: Redis forgets by its own clock, which stands still beside that of these histories. */
const shapes: ReadonlyArray<(limit: number, window: number) => Shape.Shape> = [
  (limit, window) => {
    const base = windowed(limit, window * limit * minute)
    return Shape.tokenBucket(base, base.limit)
  },
  (limit, window) => {
    const base = windowed(limit, window * limit * minute)
    return Shape.tokenBucket(base, base.limit, 3 * base.limit)
  },
  (limit, window) => {
    const base = windowed(limit, window * limit * minute)
    return Shape.leakyBucket(base, base.limit)
  },
  (limit, window) => Shape.fixedWindow(windowed(limit, window * minute), false),
  (limit, window) => Shape.fixedWindow(windowed(limit, window * minute), true),
  (limit, window) => {
    const base = windowed(limit, window * minute)
    return Shape.fixedWindow(base, false, 3 * base.limit)
  },
  (limit, window) => Shape.slidingWindow(windowed(limit, window * minute), 3),
  (limit) => Shape.leases(limit * 1_000_000, 1_000_000)
]

const Event = Schema.Struct({
  minutes: integerBetween(-3, 9),
  what: Schema.Literals(["take", "hold", "peek", "settle", "renew"]),
  cost: integerBetween(0, 6)
})

let histories = 0

export const inputs = {
  rules: Schema.Array(
    Schema.Struct({
      kind: integerBetween(0, shapes.length - 1),
      limit: integerBetween(1, 9),
      window: integerBetween(1, 30),
      shadow: Schema.Boolean
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(4)),
  events: Schema.Array(Event).check(Schema.isMaxLength(40))
}

interface Input {
  readonly events: ReadonlyArray<typeof Event.Type>
  readonly rules: ReadonlyArray<
    { readonly kind: number; readonly limit: number; readonly window: number; readonly shadow: boolean }
  >
}

/** `clock.now` is what the store takes for the time. */
export const decidesAsThePureFunctions =
  (store: RateLimiterStore["Service"], clock: { now: number }) => ({ events, rules }: Input) =>
    Effect.gen(function*() {
      const key = `history-${histories++}`
      // Far from zero, so that going back stays above it.
      let now = 1_000_000 * minute
      const asked = rules.map(({ kind, limit, shadow, window }) => ({
        shape: shapes[kind]!(limit, window),
        shadow
      }))
      const states: Array<State | undefined> = asked.map(() => undefined)
      const holds = asked.map(() => new Holds())
      const open: Array<{ readonly name: string }> = []
      for (const [index, { cost, minutes, what }] of events.entries()) {
        now += minutes * minute
        clock.now = now
        for (const hold of holds) hold.drop(now)
        const name = `h${index}`
        const lease = what === "hold" ? 5 * minute : undefined
        const entries = asked.map(({ shadow, shape }, at) => ({
          table: `t${at}`,
          key,
          policy: "p",
          shape,
          shadow,
          cost: cost * shape.scale,
          lease: shape.kind === "leases" ? 5 * minute : lease
        }))
        if (what === "settle" || what === "renew") {
          const found = what === "settle" ? open.shift() : open[0]
          if (found === undefined) continue
          const settlement = {
            hold: found.name,
            entries: entries.map((entry) => ({ ...entry, charge: entry.cost })),
            renew: what === "renew" ? 5 * minute : undefined,
            force: cost % 2 === 0
          }
          const all = yield* store.settle(settlement)
          let expected = true
          holds.forEach((hold, at) => {
            if (what === "renew") {
              if (!hold.renew(found.name, now + 5 * minute)) expected = false
              return
            }
            const was = hold.remove(found.name)
            if (!was) expected = false
            const { charge, shape } = settlement.entries[at]!
            if (charge > 0 && (was || settlement.force)) {
              states[at] = Algorithms.charge(shape, Algorithms.advance(shape, states[at], now), charge, now)
            }
          })
          assert.strictEqual(all, expected, `event ${index}`)
          continue
        }
        const peek = what === "peek"
        const cells = states.map((state, at) => ({
          state,
          held: holds[at]!.total,
          expiries: () => holds[at]!.expiries()
        }))
        const expected = decide(
          entries,
          cells,
          now,
          peek ? "peek" : (at) => entries[at]!.lease === undefined ? "charge" : "hold"
        )
        const reply = yield* store.decide({ entries, subjects: [{ policy: "p", key }], peek, hold: name })
        assert.deepStrictEqual(
          reply,
          { allowed: expected.allowed, outcomes: expected.outcomes, blocked: [0] },
          `event ${index}`
        )
        if (peek || !expected.allowed) continue
        let held = false
        entries.forEach((entry, at) => {
          if (expected.writes[at] !== undefined) states[at] = expected.writes[at]
          else if (entry.lease !== undefined && expected.outcomes[at]!.wait === 0 && entry.cost > 0) {
            holds[at]!.add(name, entry.cost, now + entry.lease)
            held = true
          }
        })
        if (held) open.push({ name })
      }
    })
