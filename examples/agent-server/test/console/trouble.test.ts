/** What the console says when something goes wrong. */
import { describe, expect, it } from "vitest"
import { problemKinds } from "../../src/api/problemKinds.ts"
import { line, problem, words } from "../../src/console/trouble.ts"

describe("trouble", () => {
  it("has a title and advice for every problem of the server", () => {
    for (const [code, { status, title }] of Object.entries(problemKinds)) {
      const said = words(problem({ code, status, title, message: "What to do.", request_id: "42" }, status))
      expect(said.title).not.toBe("")
      expect(said.title).not.toContain("_")
      expect(said.advice).toBe("What to do.")
    }
  })

  it("points to a key where one may help", () => {
    for (const [status, code] of [[401, "unauthorized"], [403, "forbidden"], [429, "rate_limit_exceeded"]] as const) {
      expect(words(problem({ code, status }, status)).needsKey).toBe(true)
    }
    expect(words(problem({ code: "provider_rate_limited", status: 429 }, 429)).needsKey).toBe(false)
  })

  it("makes something of whatever answers in the server's place", () => {
    for (const body of [undefined, null, "<html>", 42, [], { message: 7, code: {}, title: "" }]) {
      expect(problem(body, 502)).toEqual({
        _tag: "Problem",
        status: 502,
        code: "unknown",
        title: "The request failed",
        message: "The server answered with status 502.",
        requestId: undefined,
        errors: []
      })
    }
  })

  it("without an answer is told by who is to blame", () => {
    expect(line({ _tag: "Unreachable", offline: true })).toMatch(/^You are offline/)
    expect(line({ _tag: "Unreachable", offline: false })).toMatch(/^The server does not answer/)
    expect(line({ _tag: "BrokenOff" })).toMatch(/^The reply broke off/)
    expect(line({ _tag: "Stopped" })).toMatch(/^Stopped/)
  })
})
