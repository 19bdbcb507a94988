/** `GET /`, the console, what it consists of, and what it listens to. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { until } from "../../support/until.ts"
import { askAnonymously, refused, say } from "../ask.ts"
import { broken } from "../broken.ts"
import { operator, type Section, Subject } from "../kit.ts"

/** What a text loads from this server. */
const loads = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:src|href)="(\/[^"]+)"|from "\.\/([^"]+)"/g)].map(([, absolute, module]) =>
    absolute ?? `/console/${module}`
  )

export const console: Section = {
  "GET / and all that it loads come from this server, in safe types, without a key": Effect.gen(function*() {
    const found = new Set(["/"])
    for (const path of found) {
      const reply = yield* askAnonymously(`GET ${path}`)
      expect([path, reply.status]).toEqual([path, 200])
      if (path !== "/" && !path.startsWith("/console/")) continue
      expect([path, reply.headers.get("content-type")]).toEqual([
        path,
        expect.stringMatching(/^(text\/(html|css|javascript)|image\/svg\+xml|application\/json)/)
      ])
      expect(reply.headers.get("content-security-policy")).toContain("default-src 'none'")
      expect(reply.headers.get("x-content-type-options")).toBe("nosniff")
      for (const each of loads(reply.text)) found.add(each)
    }
    expect([...found].filter((path) => path.startsWith("/console/")).length).toBeGreaterThan(5)
  }),

  "a file that it does not have is 404": Effect.gen(function*() {
    for (const path of ["/console/nothing.ts", "/console/..%2fmain.ts", "/console/"]) {
      refused(yield* askAnonymously(`GET ${path}`), 404, "route_not_found")
    }
  }),

  "GET /admin/signals tells the operator what happens, as it happens": Effect.gen(function*() {
    const { server } = yield* Subject
    const heard = { head: [] as ReadonlyArray<unknown>, text: "" }
    // Its head may come with the first event only.
    yield* Effect.forkChild(Effect.promise(async (signal) => {
      const { body, headers, status } = await fetch(`${server.origin}/admin/signals`, { headers: operator, signal })
      heard.head = [status, headers.get("content-type"), headers.get("cache-control")]
      for await (const chunk of body ?? []) heard.text += Buffer.from(chunk).toString()
    }))
    yield* broken(
      { "llm-primary": { down: true } },
      until(say({ message: "anybody?" }), () => /event: signal\ndata: \{/.test(heard.text))
    )
    expect(heard.head).toEqual([200, "text/event-stream", "no-store"])
  })
}
