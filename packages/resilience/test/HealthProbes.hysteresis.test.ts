import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Hysteresis from "../src/internal/healthProbes/hysteresis.ts"
import { sideOf } from "../src/internal/healthProbes/verdict.ts"
import type { HealthState } from "../src/Signal.ts"

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

type Result = "success" | "failure" | "reset"

/** The state after a whole history, found by reading it backwards: no counter is carried along. */
const modelOf = (thresholds: Hysteresis.Thresholds, history: ReadonlyArray<Result>): HealthState => {
  const results = history.slice(history.lastIndexOf("reset") + 1)
  if (results.length === 0) return "Unknown"
  // The longest beginning of the history after which it was healthy.
  for (let end = results.length; end >= 0; end--) {
    const failuresSince = results.slice(end).filter((result) => result === "failure").length
    const healthyThen = end > 0 && isHealthyAfter(thresholds, results.slice(0, end))
    if (healthyThen) return failuresSince === 0 ? "Healthy" : failuresSince >= thresholds.failed ? "Failed" : "Degraded"
  }
  const failures = results.filter((result) => result === "failure").length
  return failures >= thresholds.failed ? "Failed" : "Degraded"
}

/** It ends in a success that stands at the start, follows a healthy state, or is the last of enough in a row. */
const isHealthyAfter = ({ healthy }: Hysteresis.Thresholds, results: ReadonlyArray<Result>): boolean => {
  if (results.at(-1) !== "success") return false
  const row = results.length - 1 - results.lastIndexOf("failure")
  return row === results.length || row >= healthy
}

const run = (thresholds: Hysteresis.Thresholds, history: ReadonlyArray<Result>): Hysteresis.Standing =>
  history.reduce(
    (standing, result) =>
      result === "reset"
        ? Hysteresis.unknown
        : result === "success"
        ? Hysteresis.succeeded(thresholds, standing)
        : Hysteresis.failed(thresholds, standing),
    Hysteresis.unknown
  )

const histories = {
  thresholds: Schema.Struct({ failed: integerBetween(1, 5), healthy: integerBetween(1, 5) }),
  history: Schema.Array(Schema.Literals(["success", "success", "failure", "failure", "reset"])).check(
    Schema.isMaxLength(40)
  )
}

describe("the verdict on a check", () => {
  it.prop(
    "HP4 follows the model over random histories, after each result",
    histories,
    ({ history, thresholds }) => {
      for (let end = 0; end <= history.length; end++) {
        const past = history.slice(0, end)
        const standing = run(thresholds, past)
        assert.strictEqual(standing.state, modelOf(thresholds, past), past.join(" "))
        assert.strictEqual(standing.state === "Healthy", standing.failures === 0 && standing.state !== "Unknown")
        assert.isTrue(standing.state !== "Degraded" || standing.failures < thresholds.failed)
        assert.isTrue(standing.state !== "Failed" || standing.failures >= thresholds.failed)
      }
    },
    { arbitrary: { runs: 5_000 } }
  )

  it.prop(
    "HP4 is confirmed from the first time it is healthy until it is reset",
    histories,
    ({ history, thresholds }) => {
      let confirmed = false
      for (let end = 1; end <= history.length; end++) {
        const standing = run(thresholds, history.slice(0, end))
        confirmed = history[end - 1] === "reset" ? false : confirmed || standing.state === "Healthy"
        assert.strictEqual(standing.confirmed, confirmed)
      }
    },
    { arbitrary: { runs: 1_000 } }
  )

  it.prop(
    "HP7 its traffic changes sides only by failing, and by being healthy after that",
    histories,
    ({ history, thresholds }) => {
      let side: "primary" | "backup" = "primary"
      for (let end = 1; end <= history.length; end++) {
        const { state } = run(thresholds, history.slice(0, end))
        const next = sideOf(side, state)
        if (next !== side) assert.strictEqual(state, next === "backup" ? "Failed" : "Healthy")
        else assert.isFalse(state === (side === "primary" ? "Failed" : "Healthy"))
        side = next
      }
    },
    { arbitrary: { runs: 1_000 } }
  )

  it("HP4 reads as the table says", () => {
    const thresholds = { failed: 3, healthy: 3 }
    const states = (word: string) =>
      Array.from(word, (_, index) =>
        run(
          thresholds,
          Array.from(
            word.slice(0, index + 1),
            (letter) => letter === "s" ? "success" : letter === "f" ? "failure" : "reset"
          )
        ).state[0]).join("")
    assert.strictEqual(states("s"), "H")
    assert.strictEqual(states("fffff"), "DDFFF")
    assert.strictEqual(states("sffsss"), "HDDDDH")
    assert.strictEqual(states("sfffsssf"), "HDDFFFHD")
    assert.strictEqual(states("sfffssfsss"), "HDDFFFFFFH", "a failure starts the row again")
    assert.strictEqual(states("sfsfsf"), "HDDDDF", "a lone success does not wipe out failures")
    assert.strictEqual(states("sfffrs"), "HDDFUH", "the first result after a reset decides")
    assert.strictEqual(states("sfffrf"), "HDDFUD")
  })
})
