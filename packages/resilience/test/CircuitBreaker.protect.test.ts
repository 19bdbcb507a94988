/** The whole breaker, options to `protect`, against the model on the blackboard. */
import * as CircuitHistory from "@effect-resilience/testing/CircuitHistory"
import { type Call, CircuitModel, type Settings } from "@effect-resilience/testing/CircuitModel"
import { assert, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { listening, start, type Started } from "./support/circuits.ts"
import { fault } from "./support/faults.ts"

const scheduleOf = <A>(steps: ReadonlyArray<readonly [output: A, millis: number]>): Schedule.Schedule<A> =>
  Schedule.fromStep(Effect.sync(() => {
    let index = 0
    return () => {
      const step = steps[index++]
      return step === undefined
        ? Cause.done(steps.at(-1)![0])
        : Effect.succeed<[A, Duration.Duration]>([step[0], Duration.millis(step[1])])
    }
  }))

const tripOf = (rules: Settings["rules"]): CircuitBreaker.Trip => {
  const [first, ...rest] = rules.map((rule) => {
    if (rule.kind === "consecutive") return CircuitBreaker.consecutive(rule.failures)
    const { minimumCalls, slowerThan, threshold } = rule
    const window = "last" in rule.window ? CircuitBreaker.calls(rule.window.last) : rule.window.millis
    return rule.kind === "failureRate"
      ? CircuitBreaker.failureRate({ threshold, minimumCalls, window })
      : CircuitBreaker.slowCallRate({ threshold, minimumCalls, window, slowerThan })
  })
  return rest.length === 0 ? first! : CircuitBreaker.anyOf(first!, ...rest)
}

const tuningOf = (settings: Settings): CircuitBreaker.Tuning => ({
  trip: tripOf(settings.rules),
  openFor: scheduleOf(settings.openFor.map((millis) => [0, millis])),
  maxOpenFor: settings.maxOpenFor,
  halfOpen: {
    probes: settings.probes,
    required: settings.required,
    deadline: settings.deadline,
    onDeadline: settings.onDeadline
  },
  recovery: settings.recovery.length === 0
    ? undefined
    : scheduleOf(settings.recovery.map(({ fraction, millis }) => [fraction, millis])),
  inFlight: settings.maxWhileUnhealthy === Infinity ? undefined : { maxWhileUnhealthy: settings.maxWhileUnhealthy }
})

const live = Effect.fnUntraced(function*(history: ReturnType<typeof CircuitHistory.schema>["Type"]) {
  const model = new CircuitModel(CircuitHistory.settings[history.settings]!)
  const { layer, moves } = listening()
  let chance = 0
  const random = { ...yield* Random.Random, nextDoubleUnsafe: () => chance }
  const clock = {
    ...yield* Clock.Clock,
    currentTimeMillisUnsafe: () => model.now,
    monotonicTimeNanosUnsafe: () => BigInt(model.now) * 1_000_000n
  }
  const { events } = history
  yield* Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make({ name: "test", ...tuningOf(model.settings) })
    const running: Array<{ readonly call: Call; readonly started: Started }> = []
    let ignored = 0
    const end = Effect.fnUntraced(function*(at: number, outcome: "success" | "failure" | "ignored", asked: number) {
      const [{ call, started }] = running.splice(at, 1) as [(typeof running)[number]]
      model.end(call, outcome, model.now - call.startedAt, asked)
      if (outcome === "success") yield* started.succeed
      else if (outcome === "failure") yield* started.fail(fault("Transient", asked))
      else yield* ignored++ % 2 === 0 ? started.interrupt : started.fail(fault("RateLimited", asked))
    })
    const compare = Effect.fnUntraced(function*(what: string) {
      const { inFlight, openings, probing, state } = yield* breaker.metrics()
      assert.deepStrictEqual(
        { inFlight, openings, probing, state, moves: moves().map((move) => move.replace(/:.*$/, "")) },
        {
          inFlight: model.running.length,
          openings: model.openings,
          probing: model.probes().length,
          state: model.state,
          moves: model.history
        },
        what
      )
    })
    for (const [position, event] of events.entries()) {
      const what = `${position}: ${JSON.stringify(event)}`
      switch (event._tag) {
        case "Admit": {
          chance = event.chance
          const call = model.admit(chance)
          const started = yield* start(breaker)
          assert.strictEqual(started.ran, call !== undefined, what)
          if (call !== undefined) running.push({ call, started })
          break
        }
        case "End":
          if (running.length > 0) yield* end(event.call % running.length, event.outcome, event.asked)
          break
        case "Advance":
          model.advance(event.millis)
          break
        case "Rare":
          if (event.event === "reconfigure") {
            const settings = CircuitHistory.settings[event.settings]!
            model.reconfigure(settings)
            yield* breaker.reconfigure(tuningOf(settings))
          } else if (event.event === "healthy" || event.event === "unhealthy") {
            // A health check's word comes by a stream of its own, not in turn: the other suites tell it.
            model.advance(1)
          } else {
            model.command(event.event)
            yield* breaker[event.event]()
          }
      }
      yield* compare(what)
    }
    while (running.length > 0) yield* end(0, "ignored", 0)
    yield* compare("quiescent")
  }).pipe(
    Effect.scoped,
    Effect.provide([CircuitBreaker.layerStoreMemory, layer], { local: true }),
    Effect.provideService(Random.Random, random),
    Effect.provideService(Clock.Clock, clock)
  )
})

it.effect.prop(
  "CB-1 a breaker decides as the model does, over 1,500 random histories of calls",
  { history: CircuitHistory.schema(80) },
  ({ history }) => live(history),
  { arbitrary: { runs: 1_500, size: 80 }, timeout: 120_000 }
)
