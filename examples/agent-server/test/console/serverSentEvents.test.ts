/** The console's reader of server-sent events. */
import { describe, expect, it } from "vitest"
import { makeParser, read } from "../../src/console/serverSentEvents.ts"

const stream =
  "event: step\ndata: {\"step\":\"Thinking\"}\n\n: a comment\n\ndata:one\ndata: two\n\nevent: done\r\ndata: é😀\r\n\r\n"

const expected = [
  { event: "step", data: "{\"step\":\"Thinking\"}" },
  { event: "message", data: "one\ntwo" },
  { event: "done", data: "é😀" }
]

describe("server-sent events", () => {
  it("are the same however the text is cut", () => {
    for (let size = 1; size <= stream.length; size++) {
      const parse = makeParser()
      const found = []
      for (let at = 0; at < stream.length; at += size) found.push(...parse(stream.slice(at, at + size)))
      expect(found).toEqual(expected)
    }
  })

  it("are the same however the bytes are cut, within a character too", async () => {
    const bytes = new TextEncoder().encode(stream)
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size))
          controller.close()
        }
      })
      const found = []
      for await (const event of read(body)) found.push(event)
      expect(found).toEqual(expected)
    }
  })

  it("are not there before their end", () => {
    expect(makeParser()("event: done\ndata: {}\n")).toEqual([])
  })

  it("do not fill the memory when they have no end", () => {
    const parse = makeParser()
    const more = "x".repeat(1_000_000)
    expect(() => {
      for (let times = 0; times < 10; times++) parse(more)
    }).toThrow(RangeError)
  })

  it("whose reader goes away are cancelled", async () => {
    let cancelled = false
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
      cancel: () => {
        cancelled = true
      }
    })
    for await (const { data } of read(body)) {
      expect(data).toBe("1")
      break
    }
    expect(cancelled).toBe(true)
  })
})
