/** The state machine alone, against the model on the blackboard. */
import { policyOf } from "@effect-resilience/testing/CircuitBreakerStoreSuite"
import * as CircuitHistory from "@effect-resilience/testing/CircuitHistory"
import { type Call, CircuitModel } from "@effect-resilience/testing/CircuitModel"
import { assert, describe, it } from "@effect/vitest"
import * as Machine from "../src/internal/circuitBreaker/machine.ts"

const policies = CircuitHistory.settings.map(policyOf)

interface Running {
  readonly permit: number
  readonly call: Call
  readonly startedAt: number
}

const live = (history: typeof Shape.Type) => {
  let index = history.settings
  const model = new CircuitModel(CircuitHistory.settings[index]!)
  const circuit = new Machine.Circuit("key", policies[index]!)
  const moves: Array<string> = []
  let chance = 0
  const world: Machine.World = {
    now: () => model.now,
    random: () => chance,
    moved: (circuit, from) => moves.push(`${from} > ${circuit.state}`)
  }
  const running: Array<Running> = []
  const end = (at: number, outcome: Machine.Verdict, asked: number) => {
    const [{ call, permit, startedAt }] = running.splice(at, 1) as [Running]
    const took = model.now - startedAt
    if (outcome === "ignored") Machine.interrupt(policies[index]!, circuit, permit, world)
    else Machine.settle(policies[index]!, circuit, permit, outcome, took, asked, world)
    model.end(call, outcome, took, asked)
  }
  const compare = (what: string) => {
    assert.strictEqual(circuit.state, model.state, what)
    assert.deepStrictEqual(moves, model.history, what)
    assert.strictEqual(circuit.inFlight, model.running.length, what)
    assert.strictEqual(circuit.probes.length, model.probes().length, what)
    assert.isTrue(circuit.probes.length <= Math.max(...CircuitHistory.settings.map(({ probes }) => probes)), what)
    assert.strictEqual(circuit.openings, model.openings, what)
  }
  history.events.forEach((event, position) => {
    const what = `${position}: ${JSON.stringify(event)}`
    switch (event._tag) {
      case "Admit": {
        chance = event.chance
        const startedAt = model.now
        const call = model.admit(chance)
        const permit = Machine.admit(policies[index]!, circuit, world)
        assert.strictEqual(permit !== Machine.refused, call !== undefined, what)
        if (call !== undefined) running.push({ call, permit, startedAt })
        break
      }
      case "End":
        if (running.length > 0) end(event.call % running.length, event.outcome, event.asked)
        break
      case "Advance":
        model.advance(event.millis)
        break
      case "Rare":
        if (event.event === "reconfigure") {
          index = event.settings
          model.reconfigure(CircuitHistory.settings[index]!)
          Machine.reconfigure(policies[index]!, circuit, world)
          break
        }
        if (event.event === "forceOpen") Machine.force(circuit, "ForcedOpen", world)
        else if (event.event === "forceClose") Machine.force(circuit, "ForcedClosed", world)
        else if (event.event === "release") Machine.release(circuit, world)
        else if (event.event === "reset") Machine.reset(circuit, world)
        else Machine.health(policies[index]!, circuit, event.event === "healthy", world)
        model.command(event.event)
    }
    compare(what)
  })
  while (running.length > 0) end(0, "ignored", 0)
  compare("quiescent")
  assert.strictEqual(circuit.inFlight, 0)
  assert.strictEqual(circuit.probes.length, 0)
  return model
}

const Shape = CircuitHistory.schema(120)

/** `MODEL_RUNS=500000` for a night. */
const runs = Number(process.env["MODEL_RUNS"] ?? 12_000)

describe("the machine of CircuitBreaker", () => {
  const seen = new Map<string, number>()
  let lengths = 0

  it.prop(
    `CB-1 decides as the model does, over ${runs} random histories`,
    { history: Shape },
    ({ history }) => {
      for (const move of live(history).history) seen.set(move, (seen.get(move) ?? 0) + 1)
      lengths += history.events.length
    },
    { arbitrary: { runs, size: 120 }, timeout: 10 * runs }
  )

  it("CB-1 those histories went through every transition, many times", () => {
    const moves = [...seen].map(([move, count]) => `${move}: ${count}`).toSorted().join("\n")
    const states = ["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"]
    assert.isTrue(lengths / runs > 20, `the average history has ${lengths / runs} events`)
    for (
      const move of [
        "Closed > Open",
        "Open > HalfOpen",
        "HalfOpen > Open",
        "HalfOpen > Closed",
        "HalfOpen > Recovering",
        "Recovering > Closed",
        "Recovering > Open",
        "ForcedOpen > HalfOpen",
        ...states.filter((state) => state !== "ForcedOpen").map((state) => `${state} > ForcedOpen`),
        ...states.filter((state) => state !== "ForcedClosed").map((state) => `${state} > ForcedClosed`),
        ...states.filter((state) => state !== "Closed").map((state) => `${state} > Closed`)
      ]
    ) assert.isTrue((seen.get(move) ?? 0) >= 5, `${move} is rare among\n${moves}`)
  })
})
