/** What the console is served as. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { request } from "./support/client.ts"
import { startFresh } from "./support/server.ts"

const modules = readdirSync(new URL("../src/console", import.meta.url)).filter((name) => name.endsWith(".ts"))

describe("the console's files", () => {
  it.live("are all this server's own, typed, and allowed to load nothing from elsewhere", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      const files = modules.map((name) => [`/console/${name}`, "text/javascript; charset=utf-8"] as const)
      expect(files.length).toBeGreaterThan(10)
      for (
        const [path, type] of [
          ["/", "text/html; charset=utf-8"],
          ["/console/console.css", "text/css; charset=utf-8"],
          ["/console/icon.svg", "image/svg+xml"],
          ["/console/facts.json", "application/json"],
          ...files
        ]
      ) {
        const { headers, status, text } = yield* request(server, path)
        expect([path, status, headers.get("content-type")]).toEqual([path, 200, type])
        expect(headers.get("x-content-type-options")).toBe("nosniff")
        const policy = headers.get("content-security-policy") ?? ""
        expect(policy).toContain("default-src 'none'")
        expect(policy).not.toMatch(/unsafe|\*|https?:/)
        // Nothing is written into the page that the policy would refuse, and nothing comes from elsewhere.
        expect(text).not.toMatch(/<style|<script(?! type="module" src="\/console\/main\.ts"><)| style=| on[a-z]+="/)
        expect(text.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:\/\/|innerHTML/)
      }
      expect(server.output()).not.toContain("Warning")
    }).pipe(Effect.scoped), 60_000)

  it.live("are read only, and nothing but them is to be had", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      expect((yield* request(server, "/", { method: "HEAD" })).status).toBe(200)
      const wrong = yield* request(server, "/console/main.ts", { method: "POST" })
      expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET"])
      for (const path of ["/console/", "/console/index.html", "/console/..%2fmain.ts", "/console/config.ts"]) {
        expect([path, (yield* request(server, path)).status]).toEqual([path, 404])
      }
    }).pipe(Effect.scoped), 60_000)
})
