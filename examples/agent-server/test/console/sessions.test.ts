/** The sessions that a browser remembers. */
import { describe, expect, it } from "vitest"
import { parse, withFirst } from "../../src/console/sessions.ts"

const session = (id: string, title = id) => ({ id, agent: "travel_planner", title })

describe("sessions of a browser", () => {
  it("are none where something else was kept", () => {
    for (const text of [undefined, "", "{", "null", "{}", "7", "[1, null, {}, {\"id\": 3}]"]) {
      expect(parse(text)).toEqual([])
    }
  })

  it("are read as they were kept", () => {
    expect(parse(JSON.stringify([session("a"), 1, session("b")]))).toEqual([session("a"), session("b")])
  })

  it("have the one that was used last first, with the title that it began with", () => {
    expect(withFirst([session("a"), session("b")], session("b", "later"))).toEqual([session("b"), session("a")])
  })

  it("are 50 at most", () => {
    const many = Array.from({ length: 60 }, (_, index) => session(String(index)))
    expect(withFirst(many, session("new"))).toHaveLength(50)
    expect(parse(JSON.stringify(many))).toHaveLength(50)
  })
})
