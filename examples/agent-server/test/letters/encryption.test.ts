import { describe, expect, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { parse } from "../../src/letters/encryption.ts"

const hex = "0a".repeat(32)

describe("the keys that letters are sealed with", () => {
  it("are read in their order, the current one first", () => {
    const keys = Result.getOrThrow(parse(` 2027:${hex}, 2026.b:${hex.toUpperCase()} ,`))
    expect(keys.map(({ name }) => name)).toEqual(["2027", "2026.b"])
    expect(keys.map(({ key }) => Redacted.value(key).length)).toEqual([32, 32])
    expect(String(keys[0]?.key)).toBe("<redacted>")
    expect(parse("")).toEqual(Result.succeed([]))
  })

  it.each([
    ["no colon", hex],
    ["too short", "a:0a0b"],
    ["no hexadecimal digits", `a:${"zz".repeat(32)}`],
    ["no name", `:${hex}`]
  ])("are refused by their number, and never shown: %s", (_, text) => {
    expect(parse(`good:${hex},${text}`)).toEqual(
      Result.fail("entry 2 must be a name, a colon and 64 hexadecimal digits")
    )
  })

  it("have different names", () => {
    expect(parse(`a:${hex},a:${hex}`)).toEqual(Result.fail("entry 2 has the name of one before it"))
  })
})
