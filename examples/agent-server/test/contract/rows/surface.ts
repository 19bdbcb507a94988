/** Which paths there are, and that there are no others: the document, the pages, the README. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { json } from "../../support/client.ts"
import { ask, askAnonymously, askAsOperator, refused, say } from "../ask.ts"
import { problems } from "../bodies.ts"
import { keys, operator, type Section } from "../kit.ts"

/** What answers and is no part of the document, since it is for people or for Prometheus. */
const pages = ["/", "/docs", "/metrics", "/openapi.json", "/problems/{code}"]

interface Operation {
  readonly method: string
  readonly path: string
  readonly statuses: ReadonlyArray<string>
  readonly isGuarded: boolean
}

const document = Effect.map(ask("GET /openapi.json"), (reply): ReadonlyArray<Operation> => {
  expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "application/json"])
  const body = json(reply)
  expect(body.openapi).toMatch(/^3\.1/)
  // JSON is `any` here: what is not there is an error of the row.
  return Object.entries<any>(body.paths).flatMap(([path, operations]) =>
    Object.entries<any>(operations).map(([method, { responses, security }]) => ({
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(responses),
      isGuarded: (security ?? []).length > 0
    }))
  )
})

/** Somewhere that a path leads to, where nothing is. */
const filled = (path: string): string =>
  path.replace("profile/cpu", "profile/cpu?seconds=0.1").replace("{agent}", "travel_planner").replace(
    "{code}",
    "unauthorized"
  ).replaceAll(/\{\w+\}/g, "nothing")

const isOperators = ({ path }: Operation) => /^\/(admin|sim)\/|\/reset\//.test(path)

const asked = ({ method, path }: Operation) => `${method} ${filled(path)}`

/** The rows of README.md's table of endpoints: `GET /a`, or `GET`, `PUT /a`, or one more path with the method before. */
const readme = (): ReadonlyArray<string> => {
  const text = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")
  const [, table = ""] = /\| endpoint[^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)/.exec(text) ?? []
  return table.trimEnd().split("\n").flatMap((row) => {
    let verbs: ReadonlyArray<string> = []
    let methods: ReadonlyArray<string> = []
    return [...(row.split(" | ")[0] ?? "").matchAll(/`([A-Z]*) ?(\/[^?`]*)?[^`]*`/g)].flatMap(([, verb = "", path]) => {
      if (verb !== "") verbs = [...verbs, verb]
      if (path === undefined) return []
      if (verb !== "") [methods, verbs] = [verbs, []]
      return expanded(path).flatMap((each) => methods.map((method) => `${method} ${each}`))
    })
  })
}

/** `/a/{b,c}` is `/a/b` and `/a/c`; `/a/{b}` is itself. */
const expanded = (path: string): ReadonlyArray<string> => {
  const [whole, choices] = /\{([^}]*,[^}]*)\}/.exec(path) ?? []
  return whole === undefined || choices === undefined
    ? [path]
    : choices.split(",").flatMap((choice) => expanded(path.replace(whole, choice)))
}

export const surface: Section = {
  "GET /openapi.json is the document, and every operation of it answers with a status that it names": Effect.gen(
    function*() {
      for (const operation of yield* document) {
        // A heap snapshot has a row of its own.
        const withKey = operation.path === "/admin/profile/heap" ? keys.unlimited : operator["x-api-key"]
        const body = operation.method === "GET" ? {} : { body: {} }
        const reply = yield* ask(asked(operation), { ...body, headers: { "x-api-key": withKey } })
        expect([asked(operation), operation.statuses]).toEqual([
          asked(operation),
          expect.arrayContaining([String(reply.status)])
        ])
        if (reply.status === 404) expect(json(reply).code).not.toBe("route_not_found")
      }
    }
  ),

  "what the operator may do is closed to everybody else, with 401 and 403": Effect.gen(
    function*() {
      const guarded = (yield* document).filter(isOperators)
      expect(guarded.length).toBeGreaterThan(20)
      for (const operation of guarded) {
        expect([asked(operation), operation.isGuarded]).toEqual([asked(operation), true])
        const body = operation.method === "GET" ? {} : { body: {} }
        refused(yield* askAnonymously(asked(operation), body), 401, "unauthorized")
        refused(yield* ask(asked(operation), body), 403, "forbidden")
        refused(yield* ask(asked(operation), { ...body, headers: { "x-api-key": "wrong" } }), 403, "forbidden")
      }
      const bearer = yield* askAnonymously("GET /admin/circuit-breakers", {
        headers: { authorization: `Bearer ${operator["x-api-key"]}` }
      })
      expect(bearer.status).toBe(200)
    }
  ),

  "every path knows its methods, and refuses the others": Effect.gen(function*() {
    const operations = yield* document
    const methods = new Map(pages.map((path) => [path, ["GET"]]))
    for (const { method, path } of operations) methods.set(path, [...methods.get(path) ?? [], method])
    for (const [path, allowed] of methods) {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => !allowed.includes(method))) {
        const reply = yield* askAsOperator(`${method} ${filled(path)}`)
        // `/admin/dlq/redrive` is the letter `redrive` to GET, and `/admin/dlq/{id}` anything.
        if (reply.status === 404 && json(reply).code === "letter_not_found") continue
        refused(reply, 405, "method_not_allowed")
        expect(reply.headers.get("allow")?.split(", ").filter((each) => each !== "HEAD").toSorted()).toEqual(
          allowed.toSorted()
        )
      }
    }
  }),

  "a path that there is not is a problem under every prefix, with or without a key": Effect.gen(function*() {
    const first = new Set((yield* document).map(({ path }) => path.split("/").slice(0, 2).join("/")))
    const prefixes = ["", "/v1/agents/travel_planner", "/api/v1/monitoring", "/docs", "/metrics", "/problems", ...first]
    for (const prefix of prefixes) {
      for (const path of [`${prefix}/no-such-thing`, `${prefix}/%00`, `${prefix}/no/such/thing?x=1`]) {
        for (const method of ["GET", "POST"]) {
          refused(yield* ask(`${method} ${path}`), 404, "route_not_found")
        }
      }
      refused(yield* askAnonymously(`GET ${prefix}/no-such-thing`), 404, "route_not_found")
    }
  }),

  "README.md's table has the document's paths and the pages, and no others": Effect.gen(function*() {
    const served = (yield* document).map(({ method, path }) => `${method} ${path}`)
    expect(readme().toSorted()).toEqual([...served, ...pages.map((path) => `GET ${path}`)].toSorted())
  }),

  "GET /docs is a page that needs nothing from elsewhere": Effect.gen(function*() {
    const reply = yield* ask("GET /docs")
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, expect.stringMatching(/^text\/html/)])
    expect(reply.text).not.toMatch(/<(script|link)[^>]+(src|href)="https?:/)
  }),

  "GET / is a page, and what it links to is there": Effect.gen(function*() {
    const reply = yield* ask("GET /")
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, expect.stringMatching(/^text\/html/)])
    for (const [, path = ""] of reply.text.matchAll(/href="(\/[^"]*)"/g)) {
      expect([path, (yield* ask(`GET ${path}`)).status]).toEqual([path, 200])
    }
  }),

  "GET /problems/{code} tells people of every code that there is": Effect.gen(function*() {
    for (const [code, kind] of Object.entries(problems)) {
      const reply = yield* ask(`GET /problems/${code}`)
      expect([code, reply.status]).toEqual([code, 200])
      expect(reply.text).toContain(`Status ${kind?.status}, code <code>${code}</code>`)
    }
  }),

  "GET /metrics is for Prometheus, in the form that the client takes": Effect.gen(function*() {
    const reply = yield* ask("GET /metrics")
    expect([reply.status, reply.headers.get("content-type")]).toEqual([
      200,
      expect.stringMatching(/^text\/plain; version=0\.0\.4/)
    ])
    expect(reply.text).toMatch(/^http_server_request_duration_seconds_count\{/m)
    const open = yield* ask("GET /metrics", { headers: { accept: "application/openmetrics-text; version=1.0.0" } })
    expect(open.headers.get("content-type")).toMatch(/^application\/openmetrics-text/)
    expect(open.text.endsWith("# EOF\n")).toBe(true)
    expect((yield* ask("HEAD /metrics?x=1")).status).toBe(200)
  }),

  "an X-Request-ID is taken over, and one that makes no sense is not": Effect.gen(function*() {
    const own = yield* say({ message: "" }, { "x-request-id": "contract-7" })
    expect([own.headers.get("x-request-id"), json(own).request_id]).toEqual(["contract-7", "contract-7"])
    const odd = yield* say({ message: "" }, { "x-request-id": "x".repeat(5000) })
    expect(odd.headers.get("x-request-id")?.length).toBeLessThan(300)
    const ids = yield* Effect.all([ask("GET /livez"), ask("GET /livez")])
    expect(new Set(ids.map(({ headers }) => headers.get("x-request-id"))).size).toBe(2)
  })
}
