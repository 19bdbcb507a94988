/** Signals as plain values. */
import * as Duration from "effect/Duration"
import { describe, expect, it } from "vitest"
import { fieldsOf, isTold } from "../../src/api/signalFields.ts"

describe("signals as an operator reads them", () => {
  it("have durations in milliseconds and failures as their message", () => {
    expect(fieldsOf({
      _tag: "RetryScheduled",
      name: "llm",
      attempt: 2,
      delay: Duration.seconds(1.5),
      failure: { kind: "Transient", scope: "dependency", code: "E", message: "it broke" }
    })).toEqual({ name: "llm", attempt: 2, delay_ms: 1500, failure: "it broke" })
  })

  it("leave out what JSON has no value for", () => {
    expect(fieldsOf({
      _tag: "CircuitTransition",
      name: "llm",
      key: "default",
      from: "Closed",
      to: "Open",
      reason: "rate",
      openFor: Duration.infinity,
      openings: undefined
    })).toEqual({ name: "llm", key: "default", from: "Closed", to: "Open", reason: "rate" })
  })

  it("are told but for those of every call", () => {
    expect(isTold({ _tag: "SignalsDropped", count: 3 })).toBe(true)
    expect(isTold({ _tag: "CallPermitted", name: "llm", key: "default", state: "Closed" })).toBe(false)
  })
})
