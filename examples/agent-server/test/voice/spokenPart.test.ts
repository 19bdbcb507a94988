/** How much of a reply is spoken. */
import { describe, expect, it } from "@effect/vitest"
import { spokenPart } from "../../src/voice/VoiceTurns.ts"

const max = 4_096

describe("a reply", () => {
  it("that speech takes at once is spoken whole", () => {
    for (const text of ["", "Two days.", "a".repeat(4_096)]) expect(spokenPart(text, max)).toBe(text)
  })

  it("that is longer is spoken up to the last sentence that fits", () => {
    const sentence = `${"word ".repeat(300)}end. `
    expect(spokenPart(sentence.repeat(4), max)).toBe(sentence.repeat(2).trimEnd())
    expect(spokenPart(`${"a".repeat(4_000)}! ${"b".repeat(200)}`, max)).toBe(`${"a".repeat(4_000)}!`)
  })

  it("without sentences is cut, and never in the middle of a character", () => {
    expect(spokenPart("a".repeat(5_000), max)).toBe("a".repeat(4_096))
    const cut = spokenPart(`a${"😀".repeat(3_000)}`, max)
    expect([cut.length, cut.isWellFormed()]).toEqual([4_095, true])
  })
})
