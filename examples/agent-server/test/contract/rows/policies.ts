/** `/admin/policies`: what is in force, and putting another document in its place. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json } from "../../support/client.ts"
import { providers } from "../../support/simulated.ts"
import { until } from "../../support/until.ts"
import { ask, askAnonymously, askAsOperator, refused, replied } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { keys, type Section } from "../kit.ts"

const inForce = Effect.map(askAsOperator("GET /admin/policies"), (reply) => replied(reply, 200, Bodies.Policies))

const put = (body: string, type = "application/yaml") =>
  askAsOperator("PUT /admin/policies", { body, headers: { "content-type": type } })

export const policies: Section = {
  "GET tells the document in force, what it does, and what is probably not meant": Effect.gen(function*() {
    const { document, explain, lint, source, version } = yield* inForce
    expect(document).toContain("llm-primary")
    for (const name of providers) expect(explain).toContain(name)
    expect([lint, version >= 1, source.endsWith("policies.yaml")]).toEqual([[], true, true])
  }),

  "PUT puts another document in force while the server runs, as YAML or as JSON": Effect.gen(function*() {
    const before = yield* inForce
    const replaced = replied(
      yield* put(before.document.replace("standard: 600", "standard: 601")),
      200,
      Bodies.ReplacedPolicies
    )
    expect([replaced.version, replaced.document.includes("standard: 601")]).toEqual([before.version + 1, true])
    const limit = Effect.map(
      ask("GET /v1/agents", { headers: { "x-api-key": keys.standard } }),
      ({ headers }) => headers.get("x-ratelimit-limit")
    )
    yield* until(limit, (now) => now === "601")
    replied(yield* put(before.document, "text/yaml"), 200, Bodies.ReplacedPolicies)
    yield* until(limit, (now) => now === "600")
  }),

  "a bad document changes nothing, and everything that is wrong with it is named": Effect.gen(function*() {
    const before = yield* inForce
    const bad = before.document.replace("standard: 600", "standard: -1").replace("failures: 5", "failures: 0")
    const { errors } = refused(yield* put(bad), 422, "policy_document_invalid")
    expect(errors.length).toBeGreaterThan(1)
    for (const text of ["", "[]", "policies: ["]) refused(yield* put(text), 422, "policy_document_invalid")
    refused(yield* put("{}", "text/plain"), 415, "unsupported_media_type")
    const { errors: _refused, ...after } = yield* inForce
    const { errors: _before, ...same } = before
    expect(after).toEqual(same)
  }),

  "is the operator's": Effect.gen(function*() {
    refused(yield* askAnonymously("GET /admin/policies"), 401, "unauthorized")
    refused(yield* ask("PUT /admin/policies", { body: "{}" }), 403, "forbidden")
    expect(json(yield* askAsOperator("GET /admin/policies")).document).not.toBe("")
  })
}
