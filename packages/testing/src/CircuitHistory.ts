/**
 * Random lives of a circuit, to run through `CircuitModel` and through whatever is to behave like it.
 *
 * The numbers are few and round on purpose: what goes wrong goes wrong where two of them meet.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Rule, Settings } from "./CircuitModel.ts"

const admit = (chances: ReadonlyArray<number>) => Schema.TaggedStruct("Admit", { chance: Schema.Literals(chances) })

const end = (outcomes: ReadonlyArray<"success" | "failure" | "ignored">, asked: ReadonlyArray<number>) =>
  Schema.TaggedStruct("End", {
    call: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 })),
    outcome: Schema.Literals(outcomes),
    asked: Schema.Literals(asked)
  })

/**
 * What happens to a circuit. `call` picks one of those that run, by its place modulo their number.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = typeof Event.Type

/**
 * @category schemas
 * @since 0.1.0
 */
export const Event = Schema.Union([
  admit([0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]),
  admit([0, 0.5]),
  admit([0]),
  end(["failure"], [0]),
  end(["failure"], [0, 700, 5_000, 100_000]),
  end(["success", "failure"], [0]),
  end(["success", "ignored"], [0]),
  Schema.TaggedStruct("Advance", { millis: Schema.Literals([1, 50, 99, 100, 101, 250]) }),
  Schema.TaggedStruct("Advance", { millis: Schema.Literals([250, 500, 1_000, 2_000, 10_000]) }),
  Schema.TaggedStruct("Rare", {
    event: Schema.Literals([
      "forceOpen",
      "forceClose",
      "release",
      "release",
      "reset",
      "unhealthy",
      "healthy",
      "reconfigure",
      "reconfigure",
      "reconfigure"
    ]),
    settings: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31 }))
  })
])

const inARow: Rule = { kind: "consecutive", failures: 2 }
const longerRow: Rule = { kind: "consecutive", failures: 3 }
const rate = (
  kind: "failureRate" | "slowCallRate",
  threshold: number,
  minimumCalls: number,
  window: { readonly last: number } | { readonly millis: number; readonly buckets: number }
): Rule => ({ kind, threshold, minimumCalls, window, slowerThan: 100 })

const rules: ReadonlyArray<ReadonlyArray<Rule>> = [
  [inARow],
  [rate("failureRate", 0.5, 2, { last: 4 })],
  [rate("failureRate", 0, 3, { last: 3 })],
  [rate("failureRate", 1, 2, { last: 5 })],
  [rate("failureRate", 0.5, 3, { millis: 1_000, buckets: 10 })],
  [rate("slowCallRate", 0.5, 2, { last: 6 })],
  [rate("slowCallRate", 0.7, 2, { millis: 2_000, buckets: 10 })],
  [longerRow, rate("failureRate", 0.6, 4, { last: 8 }), rate("slowCallRate", 1, 3, { millis: 1_000, buckets: 10 })]
]

const forms: ReadonlyArray<Omit<Settings, "rules">> = [
  {
    openFor: [500],
    maxOpenFor: 3_600_000,
    probes: 1,
    required: 1,
    deadline: 1_000,
    onDeadline: "Open",
    recovery: [],
    maxWhileUnhealthy: Infinity
  },
  {
    openFor: [100, 250, 500],
    maxOpenFor: 2_000,
    probes: 3,
    required: 0.5,
    deadline: 500,
    onDeadline: "Closed",
    recovery: [],
    maxWhileUnhealthy: 2
  },
  {
    openFor: [250, 1_000],
    maxOpenFor: 1_000,
    probes: 2,
    required: 1,
    deadline: 2_000,
    onDeadline: "Open",
    recovery: [{ fraction: 0.2, millis: 100 }, { fraction: 0.1, millis: 150 }, { fraction: 0.6, millis: 250 }],
    maxWhileUnhealthy: Infinity
  },
  {
    openFor: [1_000],
    maxOpenFor: 10_000,
    probes: 5,
    required: 0.7,
    deadline: 250,
    onDeadline: "Closed",
    recovery: [{ fraction: 0.5, millis: 1_000 }],
    maxWhileUnhealthy: 3
  }
]

/**
 * The ways to set up a circuit that histories choose from.
 *
 * @category settings
 * @since 0.1.0
 */
export const settings: ReadonlyArray<Settings> = rules.flatMap((rules) =>
  forms.map((form) => Object.assign({ rules }, form))
)

/**
 * A history: the index of its first {@link settings}, and up to `length` events.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = (length: number) =>
  Schema.Struct({
    settings: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31 })),
    events: Schema.Array(Event).check(Schema.isMaxLength(length))
  })
