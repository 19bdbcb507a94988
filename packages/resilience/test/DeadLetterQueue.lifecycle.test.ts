import { assert, describe, it } from "@effect/vitest"
import type * as Failure from "effect-resilience/Failure"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fingerprint } from "../src/internal/deadLetterQueue/fingerprint.ts"
import { type Letter, maxHistory } from "../src/internal/deadLetterQueue/letter.ts"
import { type Event, type Limits, step } from "../src/internal/deadLetterQueue/lifecycle.ts"
import { fromRow, toRow } from "../src/internal/deadLetterQueue/record.ts"

const failure: Failure.Info = { kind: "Transient", scope: "dependency", message: "down" }

const letter: Letter = {
  id: "1",
  queue: "q",
  seq: 1,
  state: "Dead",
  failure,
  fingerprint: fingerprint(failure),
  failedAt: 0,
  offeredAt: 0,
  changedAt: 0,
  occurrences: 1,
  attempts: { delivered: 0, interrupted: 0, crashed: 0 },
  claims: 0,
  round: 0,
  payloadVersion: 1,
  sourceAttempts: [],
  history: [{ at: 0, event: "Offered", failure }],
  forgotten: 0
}

const limits: Limits = { delivered: 3, interrupted: 4, crashed: 2 }
const leaseMillis = 10

const number = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** `back`: how many claims ago the worker was given the letter, 0 for the one that has it now. */
const Action = Schema.Union([
  Schema.TaggedStruct("advance", { millis: number(0, 12) }),
  Schema.TaggedStruct("claim", {}),
  Schema.TaggedStruct("renew", { back: number(0, 2) }),
  Schema.TaggedStruct("succeed", { back: number(0, 2) }),
  Schema.TaggedStruct("fail", { back: number(0, 2) }),
  Schema.TaggedStruct("interrupt", { back: number(0, 2) }),
  Schema.TaggedStruct("undecodable", { back: number(0, 2) }),
  Schema.TaggedStruct("giveBack", { back: number(0, 2) }),
  Schema.TaggedStruct("rescue", {}),
  Schema.TaggedStruct("archive", {}),
  Schema.TaggedStruct("discard", {}),
  Schema.TaggedStruct("edit", {}),
  Schema.TaggedStruct("release", {})
])

/** What the letter must look like, said in another way than the lifecycle does: who holds it, and three counters. */
class Model {
  place: "dead" | "held" | "unreadable" | "spent" | "closed" = "dead"
  holder = 0
  until = 0
  used = { delivered: 0, interrupted: 0, crashed: 0 }

  private charge(budget: keyof Limits): Model["place"] {
    this.used[budget]++
    return this.place = this.used[budget] >= limits[budget] ? "spent" : "dead"
  }

  /** Whether it happens. */
  apply(action: typeof Action.Type, now: number): boolean {
    switch (action._tag) {
      case "advance":
        return true
      case "claim":
        if (this.place === "held" && this.until <= now) {
          if (this.charge("crashed") === "spent") return true
        }
        if (this.place !== "dead" && this.place !== "unreadable") return false
        this.place = "held"
        this.holder++
        this.until = now + leaseMillis
        return true
      case "rescue":
        if (this.place !== "held" || this.until > now) return false
        this.charge("crashed")
        return true
      case "release":
        if (this.place === "held") return false
        this.place = "dead"
        this.used = { delivered: 0, interrupted: 0, crashed: 0 }
        return true
      case "archive":
      case "discard":
      case "edit":
        if (this.place === "held" || this.place === "closed") return false
        if (action._tag !== "edit") this.place = "closed"
        return true
      default:
        if (this.place !== "held" || action.back !== 0) return false
        if (action._tag === "renew") this.until = Math.max(this.until, now + leaseMillis)
        else if (action._tag === "succeed") this.place = "closed"
        else if (action._tag === "undecodable") this.place = "unreadable"
        else if (action._tag === "giveBack") this.place = "dead"
        else this.charge(action._tag === "fail" ? "delivered" : "interrupted")
        return true
    }
  }
}

const placeOf = ({ reason, state }: Letter): Model["place"] =>
  state === "Dead"
    ? "dead"
    : state === "Redriving"
    ? "held"
    : state === "Quarantined"
    ? reason?._tag === "Undecodable" ? "unreadable" : "spent"
    : "closed"

const eventOf = (action: Exclude<typeof Action.Type, { _tag: "advance" }>, claims: number): Event => {
  switch (action._tag) {
    case "claim":
      return { _tag: "Claim", owner: "w", leaseMillis, selection: "s" }
    case "rescue":
      return { _tag: "Rescue" }
    case "archive":
      return { _tag: "Archive", reason: "r" }
    case "discard":
      return { _tag: "Discard", reason: "r" }
    case "release":
      return { _tag: "Release", reason: "r" }
    case "edit":
      return { _tag: "Edit", payloadVersion: 1 }
    case "renew":
      return { _tag: "Renew", fence: claims - action.back, leaseMillis }
    case "succeed":
      return { _tag: "Succeed", fence: claims - action.back }
    case "fail":
      return { _tag: "Fail", fence: claims - action.back, failure }
    case "interrupt":
      return { _tag: "Interrupt", fence: claims - action.back }
    case "giveBack":
      return { _tag: "GiveBack", fence: claims - action.back, note: "n" }
    case "undecodable":
      return { _tag: "Undecodable", fence: claims - action.back, message: "m" }
  }
}

describe("the lifecycle of a letter", () => {
  it.prop(
    "DL-4 DL-5 equals its model over random histories",
    { actions: Schema.Array(Action).check(Schema.isMaxLength(120)) },
    ({ actions }) => {
      const model = new Model()
      let at = letter
      let now = 0
      for (const action of actions) {
        if (action._tag === "advance") {
          now += action.millis
          continue
        }
        const before = at
        const next = step(at, eventOf(action, at.claims), now, limits)
        const happened = model.apply(action, now)
        assert.strictEqual(Result.isSuccess(next), happened, `${action._tag} of ${placeOf(before)}`)
        if (Result.isSuccess(next)) at = next.success
        assert.strictEqual(placeOf(at), model.place)
        assert.strictEqual(at.claims, model.holder)
        assert.deepStrictEqual(at.attempts, model.used)
        assert.strictEqual(at.lease?.expiresAt, model.place === "held" ? model.until : undefined)
        assert.strictEqual(at.lease?.fence, model.place === "held" ? model.holder : undefined)
        assert.strictEqual(at.failedAt, 0)
        const lines = (entry: Letter) => entry.history.length + entry.forgotten
        const quiet = action._tag === "renew" || !happened
        assert.isTrue(quiet ? lines(at) === lines(before) : lines(at) > lines(before), action._tag)
        assert.isTrue(at.history.length <= maxHistory)
        assert.strictEqual(at.history[0]?.event, "Offered")
      }
    },
    { arbitrary: { runs: 2_000 } }
  )

  it.prop(
    "a letter that is written and read is the same letter",
    { actions: Schema.Array(Action).check(Schema.isMaxLength(40)) },
    ({ actions }) => {
      let at = letter
      let now = 0
      for (const action of actions) {
        if (action._tag === "advance") now += action.millis
        else at = Result.getOrElse(step(at, eventOf(action, at.claims), now, limits), () => at)
      }
      const plain = (value: Letter) => JSON.parse(JSON.stringify(value))
      assert.deepStrictEqual(plain(fromRow({ ...toRow(at), version: 1 })), plain(at))
    }
  )

  it("a history drops its middle, never how the letter came here", () => {
    let at = letter
    for (let i = 0; i < 500; i++) {
      at = Result.getOrThrow(step(at, { _tag: "Edit", payloadVersion: i }, i, limits))
    }
    assert.strictEqual(at.history.length, maxHistory)
    assert.strictEqual(at.forgotten, 501 - maxHistory)
    assert.strictEqual(at.history[0]?.event, "Offered")
    assert.strictEqual(at.history.at(-1)?.at, 499)
  })
})

describe("the fingerprint", () => {
  const of = (message: string, code?: string) =>
    fingerprint({ kind: "Transient", scope: "dependency", message, ...(code === undefined ? {} : { code }) })

  it.each([
    ["user 17 not found", "user 4711 not found"],
    ["order a1b2c3 of 2026-01-01T10:00:00.123Z", "order 9f8e7d of 2027-12-31T23:59:59Z"],
    [
      "session 550e8400-e29b-41d4-a716-446655440000 is gone",
      "session aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee is gone"
    ],
    ["connect ECONNREFUSED 127.0.0.1:5432", "connect ECONNREFUSED 10.0.0.7:80"],
    ["waited 1.5 s of -3", "waited 20 s of 4"],
    ["key QwErTyUiOpAsDfGhJkLzXcVb", "key zXcVbNmQwErTyUiOpAsDfGhJ"],
    ["row 1 of  9", "row 2 of 10"]
  ])("DL-11 ignores ids and numbers: %s", (a, b) => assert.strictEqual(of(a), of(b)))

  it.each([
    [of("user not found"), of("order not found")],
    [of("down", "A"), of("down", "B")],
    [of("down"), fingerprint({ kind: "Timeout", scope: "dependency", message: "down" })]
  ])("DL-11 tells failures of different kinds, codes or words apart", (a, b) => assert.notStrictEqual(a, b))

  it("is quick with a huge message", () => {
    assert.strictEqual(of("a".repeat(1_000_000)), of("a".repeat(1_000)))
  })
})
