/** What a storm consists of, before anything happens. */
import { describe, expect, it } from "@effect/vitest"
import * as Plan from "../../src/storm/plan.ts"

const options: Plan.Options = { seed: 1, chats: 2_000, outageSeconds: 6, instances: 2 }
const plan = Plan.make(options)
const storm = plan.chats.slice(0, plan.squall)

const share = (is: (chat: Plan.Chat) => boolean) => storm.filter(is).length / storm.length

describe("the plan of a storm", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(Plan.make(options)).toEqual(plan)
    expect(Plan.make({ ...options, seed: 2 }).chats).not.toEqual(plan.chats)
  })

  it("has chats of every manner, JSON and streamed, of both agents", () => {
    const within = (found: number, least: number, most: number) => {
      expect(found).toBeGreaterThan(least)
      expect(found).toBeLessThan(most)
    }
    within(share(({ stream }) => stream), 0.3, 0.7)
    within(share(({ agent }) => agent === "viva_examiner"), 0.3, 0.6)
    within(share(({ after }) => after !== undefined), 0.3, 0.7)
    within(share(({ manner }) => manner._tag === "Twice"), 0.1, 0.2)
    for (const manner of ["Wrongly", "Aloud", "Leaves"]) {
      within(share((chat) => chat.manner._tag === manner), 0.01, 0.03)
    }
    const ways = storm.flatMap(({ manner }) => manner._tag === "Wrongly" ? [manner.way] : [])
    expect(new Set(ways)).toEqual(new Set(Plan.badWays))
  })

  it("says nothing twice", () => {
    expect(new Set(plan.chats.map(({ message }) => message)).size).toBe(plan.chats.length)
  })

  it("goes on with a session once, later, with its agent, and only where its client waited for the reply", () => {
    const continued = plan.chats.flatMap((chat) => chat.after === undefined ? [] : [{ chat, after: chat.after }])
    expect(new Set(continued.map(({ after }) => after)).size).toBe(continued.length)
    for (const { after, chat } of continued) {
      const before = plan.chats[after]
      expect(after).toBeLessThan(chat.index)
      expect(before?.agent).toBe(chat.agent)
      expect(["Once", "Twice"]).toContain(before?.manner._tag)
    }
  })

  it("ends with chats that no model answers, in new sessions and in others", () => {
    const last = plan.chats.slice(plan.squall)
    expect(last.length).toBe(20)
    for (const stream of [false, true]) {
      for (const isNew of [false, true]) {
        expect(last.some((chat) => chat.stream === stream && (chat.after === undefined) === isNew)).toBe(true)
      }
    }
  })

  it("has a script in the order of its chats: weather, outage, Redis, every instance, and in the end no model", () => {
    expect(plan.script.map(({ before, step }) => [before, step._tag])).toEqual([
      [0, "Faults"],
      [500, "OutageBegins"],
      [1100, "OutageEnds"],
      [1240, "RedisGoes"],
      [1320, "RedisComes"],
      [1500, "Restart"],
      [1700, "Restart"],
      [2000, "Squall"]
    ])
    expect(Plan.make({ ...options, instances: 0 }).script.some(({ step }) => step._tag === "Restart")).toBe(false)
  })

  it("paces chats so that the outage is as long as it is to be", () => {
    expect(600 / plan.perSecond).toBeCloseTo(6)
    const during = storm.filter(({ index }) => Plan.isInOutage(plan, index))
    expect([during[0]?.index, during.at(-1)?.index]).toEqual([500, 1099])
  })
})
