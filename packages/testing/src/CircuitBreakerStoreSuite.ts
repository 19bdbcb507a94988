/**
 * What every store of circuits must do, as a suite of tests: random histories, each compared with `CircuitModel` event by
 * event, and what several breakers of one store owe each other.
 *
 * @since 0.1.0
 */
import { assert, layer } from "@effect/vitest"
import type { CircuitBreakerStore, Circuits, Move, Policy, Snapshot } from "effect-resilience/CircuitBreaker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as CircuitHistory from "./CircuitHistory.ts"
import { type Call, CircuitModel, type Settings } from "./CircuitModel.ts"

/**
 * A store, and the time that it lives by.
 *
 * - `now`: what its clock says, in milliseconds.
 * - `advance`: moves its clock. Nothing else may, during the histories.
 *
 * @category services
 * @since 0.1.0
 */
export class Subject extends Context.Service<Subject, {
  readonly store: CircuitBreakerStore["Service"]
  readonly now: Effect.Effect<number>
  readonly advance: (millis: number) => Effect.Effect<void>
}>()("@effect-resilience/testing/CircuitBreakerStoreSuite/Subject") {}

/**
 * The tests, under the clock of the machine unless the layer brings another. They share a store; what its leases are must outlive a history, a minute or two of its clock.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  subject: Layer.Layer<Subject, E>,
  options: {
    /** How many random histories. */
    readonly histories: number
    /** Milliseconds that a test may take. Default 60,000. */
    readonly timeout?: number | undefined
  }
): void => {
  const timeout = options.timeout ?? 60_000
  layer(subject, { excludeTestServices: true })(name, (it) => {
    it.effect.prop(
      `CB-1 decides as the model does, over ${options.histories} random histories`,
      { history: CircuitHistory.schema(80) },
      ({ history }) => Effect.scoped(live(history)),
      { arbitrary: { runs: options.histories, size: 80 }, timeout }
    )

    it.effect("breakers of one name have the same circuits, those of two names have not", () =>
      Effect.gen(function*() {
        const { store } = yield* Subject
        const [first, second, other] = [
          yield* store.open({ name: "one", ...bounds }),
          yield* store.open({ name: "one", ...bounds }),
          yield* store.open({ name: "two", ...bounds })
        ]
        yield* trip(first, "key")
        const stateOf = (circuits: Circuits, key: string) =>
          Effect.map(circuits.read(key, policy), ({ state }) => state)
        assert.strictEqual(yield* stateOf(second, "key"), "Open")
        assert.strictEqual(yield* stateOf(second, "another key"), "Closed")
        assert.strictEqual(yield* stateOf(other, "key"), "Closed")
      }))

    it.effect("keys and names stay apart, whatever they are made of", () =>
      Effect.gen(function*() {
        const { store } = yield* Subject
        const odd = [
          "",
          ":",
          "a:b",
          "{a}",
          "}",
          "{}",
          "*",
          "?",
          "[a]",
          "a b",
          "%7B",
          "\0",
          "é",
          "日本",
          "😀",
          "k".repeat(10_000)
        ]
        const all: Array<readonly [name: string, key: string]> = odd.flatMap((name) =>
          odd.map((key) => [name, key] as const)
        )
        for (const [index, [name, key]] of all.entries()) {
          if (index % 2 === 0) yield* trip(yield* store.open({ name, ...bounds }), key)
        }
        for (const [index, [name, key]] of all.entries()) {
          const { state } = yield* (yield* store.open({ name, ...bounds })).read(key, policy)
          assert.strictEqual(state, index % 2 === 0 ? "Open" : "Closed", JSON.stringify([name, key.slice(0, 20)]))
        }
        for (const name of odd) {
          const listed = yield* (yield* store.open({ name, ...bounds })).list(policy)
          const expected = all.flatMap(([other, key], index) => other === name && index % 2 === 0 ? [key] : [])
          assert.deepStrictEqual(listed.map(({ key }) => key).toSorted(), expected.toSorted(), JSON.stringify(name))
        }
      }), timeout)

    it.effect("a permit is good for one settlement", () =>
      Effect.gen(function*() {
        const { store } = yield* Subject
        const circuits = yield* store.open({ name: "permits", ...bounds })
        const twice = { ...policy, trip: { _tag: "Consecutive", failures: 2 } } as const
        const admission = yield* circuits.admit("key", twice, 0)
        assert.strictEqual(admission._tag, "Admitted")
        if (admission._tag !== "Admitted") return
        const settlement = { permit: admission.permit, verdict: "failure", millis: 0, hint: 0 } as const
        yield* circuits.settle("key", twice, settlement)
        yield* circuits.settle("key", twice, settlement)
        yield* circuits.settle("key", twice, { ...settlement, permit: "never given" })
        const { inFlight, rules, state } = yield* circuits.read("key", twice)
        assert.deepStrictEqual({ inFlight, calls: rules[0]!.calls, state }, { inFlight: 0, calls: 1, state: "Closed" })
      }))
  })
}

const bounds = { capacity: 1_000_000, idleMillis: 86_400_000 }

/**
 * The settings of the model as a policy.
 *
 * @category settings
 * @since 0.1.0
 */
export const policyOf = (settings: Settings): Policy => {
  const [first, ...rest] = settings.rules.map(ruleOf)
  const steps: Array<{ at: number; fraction: number }> = []
  let millis = 0
  for (const step of settings.recovery) {
    steps.push({ at: millis, fraction: Math.max(step.fraction, steps.at(-1)?.fraction ?? 0) })
    millis += step.millis
  }
  return {
    trip: rest.length === 0 ? first! : { _tag: "AnyOf", rules: [first!, ...rest] },
    openFor: settings.openFor,
    maxHint: settings.maxOpenFor,
    probes: settings.probes,
    needed: Math.max(1, Math.ceil(settings.probes * settings.required)),
    deadline: settings.deadline,
    onDeadline: settings.onDeadline,
    ramp: steps.length === 0 ? undefined : { steps, millis },
    maxWhileUnhealthy: settings.maxWhileUnhealthy,
    slowerThan: Math.min(...settings.rules.map((rule) => rule.kind === "slowCallRate" ? rule.slowerThan : Infinity))
  }
}

const ruleOf = (rule: Settings["rules"][number]) => {
  if (rule.kind === "consecutive") return { _tag: "Consecutive", failures: rule.failures } as const
  const { minimumCalls, slowerThan, threshold, window } = rule
  const common = {
    threshold,
    minimumCalls,
    window: "last" in window ? { _tag: "Calls", calls: window.last } as const : { _tag: "Time", ...window } as const
  }
  return rule.kind === "failureRate"
    ? { _tag: "FailureRate", ...common } as const
    : { _tag: "SlowCallRate", slowerThan, ...common } as const
}

const policies = CircuitHistory.settings.map(policyOf)

const policy: Policy = { ...policies[0]!, trip: { _tag: "Consecutive", failures: 1 }, openFor: [3_600_000] }

const trip = (circuits: Circuits, key: string) =>
  Effect.gen(function*() {
    const admission = yield* circuits.admit(key, policy, 0)
    assert.strictEqual(admission._tag, "Admitted")
    if (admission._tag !== "Admitted") return
    yield* circuits.settle(key, policy, { permit: admission.permit, verdict: "failure", millis: 0, hint: 0 })
  })

let histories = 0

const live = Effect.fnUntraced(function*(history: ReturnType<typeof CircuitHistory.schema>["Type"]) {
  const { advance, now, store } = yield* Subject
  const key = `history ${histories++}`
  const circuits = yield* store.open({ name: "histories", ...bounds })
  let index = history.settings
  const model = new CircuitModel(CircuitHistory.settings[index]!)
  model.advance(yield* now)
  const moved: Array<string> = []
  const note = (moves: ReadonlyArray<Move>) => {
    for (const { from, to } of moves) moved.push(`${from} > ${to}`)
  }
  const running: Array<{ readonly call: Call; readonly permit: string }> = []
  const end = Effect.fnUntraced(function*(at: number, verdict: "success" | "failure" | "ignored", hint: number) {
    const [{ call, permit }] = running.splice(at, 1) as [(typeof running)[number]]
    const millis = model.now - call.startedAt
    model.end(call, verdict, millis, hint)
    note(yield* circuits.settle(key, policies[index]!, { permit, verdict, millis, hint }))
  })
  const compare = Effect.fnUntraced(function*(what: string) {
    const { inFlight, openings, probing, state }: Snapshot = yield* circuits.read(key, policies[index]!)
    assert.deepStrictEqual(
      { inFlight, openings, probing, state, moved },
      {
        inFlight: model.running.length,
        openings: model.openings,
        probing: model.probes().length,
        state: model.state,
        moved: model.history
      },
      what
    )
  })
  for (const [position, event] of history.events.entries()) {
    const what = `${position}: ${JSON.stringify(event)}`
    switch (event._tag) {
      case "Admit": {
        const call = model.admit(event.chance)
        const admission = yield* circuits.admit(key, policies[index]!, event.chance)
        assert.strictEqual(admission._tag, call === undefined ? "Refused" : "Admitted", what)
        if (admission._tag !== "Unavailable") note(admission.moves)
        if (call !== undefined && admission._tag === "Admitted") running.push({ call, permit: admission.permit })
        break
      }
      case "End":
        if (running.length > 0) yield* end(event.call % running.length, event.outcome, event.asked)
        break
      case "Advance":
        model.advance(event.millis)
        yield* advance(event.millis)
        break
      case "Rare":
        if (event.event === "reconfigure") {
          index = event.settings
          model.reconfigure(CircuitHistory.settings[index]!)
          // The new policy comes with the next operation: one that does nothing else.
          const nothing = { permit: "none", verdict: "ignored", millis: 0, hint: 0 } as const
          note(yield* circuits.settle(key, policies[index]!, nothing))
        } else {
          model.command(event.event)
          note(yield* circuits.command(key, policies[index]!, event.event))
        }
    }
    yield* compare(what)
  }
  while (running.length > 0) yield* end(0, "ignored", 0)
  yield* compare("quiescent")
  assert.strictEqual(model.running.length, 0)
})
