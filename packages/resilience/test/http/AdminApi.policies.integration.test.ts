/** A document of policies that its operator looks at and replaces, over a real socket. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import { adminKey, ask, serving } from "../support/adminServer.ts"

class Api extends HttpApi.make("somebody-elses").add(AdminApi.Policies) {}

const document = (deadline: string) => `policies: { payments: { deadline: ${deadline}, retry: { times: 1 } } }`

/** What was kept, and whether the next can be. */
const kept = { texts: [] as Array<string>, works: true }

const server = serving(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(
    AdminApi.layerPolicies(Api, {
      documents: Policy.Policies,
      keep: (text) =>
        Effect.sync(() => {
          if (kept.works) kept.texts.push(text)
          return kept.works
        })
    })
  ))
).pipe(
  Layer.provideMerge(Policy.layerFromText(document("5 seconds"))),
  Layer.provide(CircuitBreaker.layerStoreMemory),
  Layer.provide(Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory()))
)

const put = (body: string, contentType = "application/yaml", key: string = adminKey) =>
  ask("/admin/policies", { method: "PUT", headers: { "x-api-key": key, "content-type": contentType }, body })

const inForce = Effect.map(ask("/admin/policies"), ({ json }) => json)

describe("/admin/policies", () => {
  it.live("shows the document in force, and what it does", () =>
    Effect.gen(function*() {
      const reply = yield* ask("/admin/policies")
      const { document: text, errors, explain, lint, loaded_at, source, version } = reply.json
      assert.deepStrictEqual([reply.status, reply.headers.get("cache-control")], [200, "no-store"])
      assert.deepStrictEqual([text, source, version, errors], [document("5 seconds"), "text", 1, undefined])
      assert.strictEqual(new Date(loaded_at).toISOString(), loaded_at)
      assert.match(explain, /payments/)
      assert.deepStrictEqual(lint.map(({ code }: { readonly code: string }) => code), ["RetryWithoutAttemptTime"])
    }).pipe(Effect.provide(server)))

  it.live("takes another one, says whether it is kept, and has it in force", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.Policies
      for (const [works, type] of [[true, "text/yaml"], [false, "application/yaml"]] as const) {
        kept.works = works
        const { json, status } = yield* put(document(works ? "1 second" : "2 seconds"), type)
        assert.deepStrictEqual([status, json.persisted, json.source], [200, works, "PUT /admin/policies"])
      }
      assert.deepStrictEqual(kept.texts, [document("1 second")])
      assert.deepStrictEqual((yield* policies.current).text, document("2 seconds"))
      const asJson = JSON.stringify({ policies: { search: { deadline: "1 second" } } })
      assert.strictEqual((yield* put(asJson, "application/json; charset=utf-8")).status, 200)
      assert.deepStrictEqual((yield* policies.current).names, ["search"])
    }).pipe(Effect.provide(server)))

  it.live("refuses one that is no good, names all that is wrong, and goes on telling until one is taken", () =>
    Effect.gen(function*() {
      const { json, status } = yield* put("policies: { payments: { deadline: soon, retri: {} } }")
      assert.deepStrictEqual([status, json.code], [422, "policy_document_invalid"])
      assert.deepStrictEqual(
        json.errors.map(({ path }: { readonly path: string }) => path).toSorted(),
        ["policies.payments.deadline", "policies.payments.retri"]
      )
      const after = yield* inForce
      assert.deepStrictEqual([after.document, after.version, after.errors], [document("5 seconds"), 1, json.errors])
      yield* put(document("3 seconds"))
      assert.deepStrictEqual((yield* inForce).errors, undefined)
    }).pipe(Effect.provide(server)))

  it.live("is for the operator, and takes documents only", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("/admin/policies", { headers: {} })).status, 401)
      assert.strictEqual((yield* put(document("3 seconds"), "application/yaml", "another")).status, 403)
      assert.strictEqual((yield* put(document("3 seconds"), "text/plain")).status, 415)
      assert.strictEqual((yield* inForce).version, 1)
    }).pipe(Effect.provide(server)))
})
