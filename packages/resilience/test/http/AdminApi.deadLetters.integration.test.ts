/** A dead letter queue over a real socket, in the API of somebody else. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adminKey, ask, origin, post, serving } from "../support/adminServer.ts"

const MailBody = Schema.Struct({ to: Schema.String, size: Schema.Int })

class Mails extends DeadLetterQueue.Service<Mails>()("test/Mails", {
  name: "mails",
  schema: MailBody,
  redact: { keys: ["secret"] }
}) {}

class Api extends HttpApi.make("somebody-elses").add(AdminApi.DeadLetters) {}

type Mail = typeof MailBody.Type

type Send = (mail: Mail) => Effect.Effect<unknown, string>

/** A server whose letters go to `send` when they are redriven. */
const server = (
  send: Send = () => Effect.void,
  store: Layer.Layer<DeadLetterQueue.DeadLetterStore> = DeadLetterQueue.layerStoreMemory
) =>
  serving(
    Layer.provide(HttpApiBuilder.layer(Api), AdminApi.layerDeadLetters(Api, { queue: Mails, handler: send }))
  ).pipe(Layer.provideMerge(Layer.provideMerge(Mails.layer, store)))

const offer = (to: string, error: unknown = new Error("mailbox full")) =>
  Effect.flatMap(Mails, (mails) => mails.offer({ to, size: to.length }, { error, headers: { tenant: "t1" } }))

/** Offers letters to `0`, `1`, ...; their ids in that order. */
const offerMany = (count: number) => Effect.forEach(Array.from({ length: count }, (_, i) => `${i}`), (to) => offer(to))

/** The events of a reply, as pairs of name and data. */
const eventsOf = (text: string): ReadonlyArray<readonly [string, any]> =>
  text.split("\n\n").filter((block) => block.trim() !== "").map((block) => {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block.trim()) ?? []
    return [name ?? "", JSON.parse(data ?? "null")] as const
  })

/** What a refusal says; its JSON is `any`, as all replies here. */
const refused = (reply: { readonly status: number; readonly json: any }) => [
  reply.status,
  reply.json?.code,
  reply.json?.errors && [
    ...new Set(
      reply.json.errors.map((error: { readonly in: string; readonly path: string }) => `${error.in} ${error.path}`)
    )
  ]
]

describe("GET /admin/dlq", () => {
  it.live("lists letters page by page, the newest first or the oldest", () =>
    Effect.gen(function*() {
      const ids = yield* offerMany(5)
      const pages = function*(query: string) {
        const seen: Array<string> = []
        let cursor = ""
        do {
          const { json, status } = yield* ask(`/admin/dlq?limit=2${query}${cursor}`)
          assert.strictEqual(status, 200)
          seen.push(...json.letters.map(({ id }: { readonly id: string }) => id))
          cursor = json.cursor === null ? "" : `&cursor=${json.cursor}`
        } while (cursor !== "")
        return seen
      }
      assert.deepStrictEqual(yield* pages("&order=oldest"), ids)
      assert.deepStrictEqual(yield* pages(""), ids.toReversed())
    }).pipe(Effect.provide(server())))

  it.live("shows what is known of a letter, and not what is in it", () =>
    Effect.gen(function*() {
      const id = yield* offer("ada@example.org")
      const { headers, json, text } = yield* ask("/admin/dlq")
      const [letter] = json.letters
      assert.deepInclude(letter, {
        id,
        queue: "mails",
        state: "Dead",
        reason: null,
        failure: { kind: "Permanent", scope: "dependency", code: null, message: "mailbox full", retry_after_ms: null },
        occurrences: 1,
        attempts: { delivered: 0, interrupted: 0, crashed: 0 },
        lease: null
      })
      assert.match(letter.failed_at, /^\d{4}-\d\d-\d\dT.*Z$/)
      assert.notInclude(text, "ada@example.org")
      assert.strictEqual(headers.get("cache-control"), "no-store")
    }).pipe(Effect.provide(server())))

  it.live("filters by state, kind, fingerprint and age", () =>
    Effect.gen(function*() {
      const dead = yield* offer("ada")
      const gone = yield* offer("bob", "a quite different failure")
      yield* post(`/admin/dlq/${gone}/discard`, { reason: "nobody wants it" })
      const ids = (query: string) =>
        Effect.map(
          ask(`/admin/dlq?order=oldest&${query}`),
          ({ json }) => json.letters.map(({ id }: { readonly id: string }) => id)
        )
      assert.deepStrictEqual(yield* ids("state=Dead"), [dead])
      assert.deepStrictEqual(yield* ids("state=Dead&state=Discarded"), [dead, gone])
      assert.deepStrictEqual(yield* ids("kind=Timeout"), [])
      const [first] = (yield* ask("/admin/dlq?state=Dead")).json.letters
      assert.deepStrictEqual(yield* ids(`fingerprint=${first.fingerprint}`), [dead])
      assert.deepStrictEqual(yield* ids("older_than=1%20hour"), [])
      assert.deepStrictEqual(yield* ids("newer_than=1%20hour"), [dead, gone])
    }).pipe(Effect.provide(server())))

  it.live("names what is wrong with a question", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, string]> = [
        ["state=Lost", "query state.0"],
        ["sate=Dead", "query sate"],
        ["limit=0", "query limit"],
        ["limit=1001", "query limit"],
        ["limit=many", "query limit"],
        ["older_than=soon", "query older_than"],
        ["older_than=-1%20hour", "query older_than"],
        ["cursor=", "query cursor"],
        ["cursor=nonsense", "query cursor"],
        [`cursor=${"x".repeat(10_000)}`, "query cursor"],
        ["order=sideways", "query order"],
        [`fingerprint=${"x".repeat(100)}`, "query fingerprint.0"]
      ]
      for (const [query, field] of wrong) {
        const reply = yield* ask(`/admin/dlq?${query}`)
        assert.deepStrictEqual(refused(reply), [400, "invalid_request", [field]], query)
        assert.strictEqual(reply.headers.get("content-type"), "application/problem+json")
        assert.strictEqual(reply.json.request_id, reply.headers.get("x-request-id"))
      }
    }).pipe(Effect.provide(server())))
})

describe("GET /admin/dlq/{id}", () => {
  it.live("opens a letter: payload, headers, causes, history", () =>
    Effect.gen(function*() {
      const id = yield* offer("ada")
      const { json } = yield* ask(`/admin/dlq/${id}`)
      assert.deepInclude(json, {
        id,
        payload: { to: "ada", size: 3 },
        raw: null,
        unreadable: null,
        headers: { tenant: "t1" },
        causes: ["Error: mailbox full"]
      })
      assert.deepStrictEqual(json.history.map(({ event }: { readonly event: string }) => event), ["Offered"])
    }).pipe(Effect.provide(server())))

  it.live("shows secrets as the queue stored them, and an undecodable payload as it is", () =>
    Effect.gen(function*() {
      const mails = yield* Mails
      const id = yield* mails.offerJson({ secret: "hunter2", size: "large" }, { error: "no mail" })
      const { json, text } = yield* ask(`/admin/dlq/${id}`)
      assert.strictEqual(json.state, "Quarantined")
      assert.strictEqual(json.payload, null)
      assert.strictEqual(json.unreadable.reason, "Undecodable")
      assert.strictEqual(JSON.parse(json.raw).size, "large")
      assert.notInclude(text, "hunter2")
    }).pipe(Effect.provide(server())))

  it.live("says that there is no such letter, and what an id looks like", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(refused(yield* ask("/admin/dlq/nobody")), [404, "letter_not_found", undefined])
      // A router takes no more than a hundred characters for a part of a path.
      assert.strictEqual((yield* ask(`/admin/dlq/${"x".repeat(101)}`)).status, 404)
      for (const id of ["%00", "a%20b", "%F0%9F%92%8C"]) {
        assert.deepStrictEqual(refused(yield* ask(`/admin/dlq/${id}`)), [400, "invalid_request", ["path id"]], id)
      }
    }).pipe(Effect.provide(server())))
})

describe("POST /admin/dlq/redrive", () => {
  it.live("redrives ids, each once, and says what came of each", () =>
    Effect.gen(function*() {
      const [a, b] = yield* offerMany(2)
      const { json, status } = yield* post("/admin/dlq/redrive", { ids: [a, a, "nobody", b] })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(
        json.letters.map(({ id, outcome, state }: { id: string; outcome: string; state: string }) => [
          id,
          outcome,
          state
        ]),
        [[a, "redriven", "Archived"], ["nobody", "skipped", null], [b, "failed", "Dead"]]
      )
      assert.strictEqual(json.letters[2].failure.message, "still full")
      assert.deepInclude(json, { dry_run: false, selection: null, done: 3, total: 3 })
      assert.deepInclude(json.counts, { redriven: 1, failed: 1, skipped: 1 })
    }).pipe(Effect.provide(server(({ to }) => to === "1" ? Effect.fail("still full") : Effect.void))))

  it.live("looks what it would do, and its selection stays what it was", () =>
    Effect.gen(function*() {
      const ids = yield* offerMany(3)
      const looked = yield* post("/admin/dlq/redrive", { filter: { state: ["Dead"] }, dry_run: true })
      assert.deepInclude(looked.json, { dry_run: true, done: 3, total: 3 })
      assert.strictEqual(looked.json.counts.due, 3)
      assert.strictEqual((yield* ask("/admin/dlq?state=Dead")).json.letters.length, 3)
      const late = yield* offer("late")
      const { json } = yield* post("/admin/dlq/redrive", { selection: looked.json.selection, concurrency: 3 })
      assert.sameMembers(json.letters.map(({ id }: { id: string }) => id), ids)
      assert.strictEqual((yield* ask(`/admin/dlq/${late}`)).json.state, "Dead")
    }).pipe(Effect.provide(server())))

  it.live("tells its progress as events when it is asked to, by header or member", () =>
    Effect.gen(function*() {
      for (const [more, headers] of [[{}, { accept: "text/event-stream" }], [{ stream: true }, {}]] as const) {
        const ids = yield* offerMany(2)
        const reply = yield* post("/admin/dlq/redrive", { filter: {}, ...more }, headers)
        assert.match(reply.headers.get("content-type") ?? "", /^text\/event-stream/)
        assert.strictEqual(reply.headers.get("cache-control"), "no-store")
        const events = eventsOf(reply.text)
        assert.deepStrictEqual(events.map(([name]) => name), ["start", "progress", "progress", "done"])
        assert.deepStrictEqual(events.slice(1, 3).map(([, { done, id, total }]) => [id, done, total]), [
          [ids[0], 1, 2],
          [ids[1], 2, 2]
        ])
        assert.strictEqual(events[0]?.[1].selection.queue, "mails")
        assert.strictEqual(events[3]?.[1].counts.redriven, 2)
      }
      const refusing = yield* post("/admin/dlq/redrive", { filter: {} }, { accept: "text/event-stream;q=0, */*" })
      assert.strictEqual(refusing.headers.get("content-type"), "application/json")
    }).pipe(Effect.provide(server())))

  it.live("ends when its client goes away: nothing is lost, and the selection goes on where it stopped", () =>
    Effect.gen(function*() {
      const stuck = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const sent: Array<string> = []
      let hang = true
      const send: Send = ({ to }) =>
        to === "1" && hang
          ? Deferred.succeed(stuck, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
          : Effect.sync(() => sent.push(to))
      yield* Effect.gen(function*() {
        const ids = yield* offerMany(3)
        const url = yield* origin
        const leave = new AbortController()
        const toldOfOne = yield* Deferred.make<void>()
        let text = ""
        const reading = Effect.promise(async () => {
          const reply = await fetch(`${url}/admin/dlq/redrive`, {
            method: "POST",
            headers: { "x-api-key": adminKey, "content-type": "application/json", accept: "text/event-stream" },
            body: JSON.stringify({ filter: {} }),
            signal: leave.signal
          })
          try {
            for await (const bytes of reply.body ?? []) {
              text += Buffer.from(bytes).toString("utf8")
              if (text.includes("event: progress")) Deferred.doneUnsafe(toldOfOne, Effect.void)
            }
          } catch {
            // That is what leaving looks like.
          }
        })
        yield* Effect.all([
          reading,
          Effect.all([Deferred.await(stuck), Deferred.await(toldOfOne)]).pipe(
            Effect.andThen(Effect.sync(() => leave.abort()))
          )
        ], { concurrency: "unbounded" })
        yield* Deferred.await(interrupted)
        hang = false
        const [, start] = eventsOf(text)[0] ?? []
        const open = Effect.map(ask(`/admin/dlq/${ids[1]}`), ({ json }) => json)
        const letter = yield* Eventually.answers(open, ({ state }) => state === "Dead")
        assert.strictEqual(letter.attempts.interrupted, 1)
        assert.deepStrictEqual(sent, ["0"])
        const { json } = yield* post("/admin/dlq/redrive", { selection: start.selection })
        assert.deepStrictEqual(json.letters.map(({ id }: { readonly id: string }) => id), ids.slice(1))
        assert.deepStrictEqual(sent, ["0", "1", "2"])
      }).pipe(Effect.provide(server(send)))
    }))

  it.live("ends when a client goes away that waits for the end, and the same request goes on", () =>
    Effect.gen(function*() {
      const stuck = yield* Deferred.make<void>()
      const sent: Array<string> = []
      let hang = true
      const send: Send = ({ to }) =>
        to === "1" && hang
          ? Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never)
          : Effect.sync(() => sent.push(to))
      yield* Effect.gen(function*() {
        const ids = yield* offerMany(3)
        // Interrupted, the client closes its connection.
        yield* Effect.raceFirst(post("/admin/dlq/redrive", { filter: {} }), Deferred.await(stuck))
        const open = Effect.map(ask(`/admin/dlq/${ids[1]}`), ({ json }) => json)
        yield* Eventually.answers(open, ({ attempts, state }) => state === "Dead" && attempts.interrupted === 1)
        hang = false
        const { json } = yield* post("/admin/dlq/redrive", { filter: {} })
        assert.strictEqual(json.counts.redriven, 2)
        assert.deepStrictEqual(sent, ["0", "1", "2"])
      }).pipe(Effect.provide(server(send)))
    }))

  it.live("names what is wrong with a request, and redrives nothing", () =>
    Effect.gen(function*() {
      yield* offer("ada")
      const wrong: ReadonlyArray<readonly [unknown, ReadonlyArray<string>]> = [
        [{}, ["body "]],
        [undefined, ["body "]],
        ["{", ["body "]],
        [{ ids: ["a"], filter: {} }, ["body "]],
        [{ ids: [] }, ["body ids"]],
        [{ ids: Array.from({ length: 1_001 }, (_, i) => `${i}`) }, ["body ids"]],
        [{ filter: {}, dryRun: true }, ["body dryRun"]],
        [{ filter: { sate: "Dead" } }, ["body filter.sate"]],
        [{ filter: {}, rate: 0 }, ["body rate"]],
        [{ filter: {}, concurrency: 1.5 }, ["body concurrency"]],
        [{ filter: {}, concurrency: 101 }, ["body concurrency"]],
        [{ selection: { _tag: "Selection", id: "x", queue: "others", at: 0, query: {} } }, ["body selection.queue"]]
      ]
      for (const [body, fields] of wrong) {
        const reply = yield* post("/admin/dlq/redrive", body)
        assert.deepStrictEqual(refused(reply), [400, "invalid_request", fields], JSON.stringify(body))
      }
      const many = yield* post("/admin/dlq/redrive", { ids: Array.from({ length: 50_000 }, () => "") })
      assert.strictEqual(many.json.errors.length, 100)
      assert.strictEqual((yield* ask("/admin/dlq?state=Dead")).json.letters.length, 1)
    }).pipe(Effect.provide(server(() => Effect.die("not to be called")))))
})

describe("POST /admin/dlq/{id}/discard", () => {
  it.live("gives a letter up, once, with the reason in its history", () =>
    Effect.gen(function*() {
      const id = yield* offer("ada")
      const { json, status } = yield* post(`/admin/dlq/${id}/discard`, { reason: "moved away" })
      assert.strictEqual(status, 200)
      assert.deepInclude(json, { id, state: "Discarded", reason: { tag: "Told", message: "moved away" } })
      const again = yield* post(`/admin/dlq/${id}/discard`, { reason: "moved away" })
      assert.deepStrictEqual(refused(again), [409, "letter_refused", undefined])
      assert.strictEqual(again.json.state, "Discarded")
      assert.strictEqual((yield* post("/admin/dlq/nobody/discard", { reason: "x" })).status, 404)
      for (const reason of [undefined, "", "  ", "x".repeat(1_001), 7]) {
        const reply = yield* post(`/admin/dlq/${id}/discard`, { reason })
        assert.deepStrictEqual(refused(reply), [400, "invalid_request", ["body reason"]])
      }
    }).pipe(Effect.provide(server())))
})

describe("GET /admin/dlq/report and /export", () => {
  it.live("say the queue in numbers and in lines", () =>
    Effect.gen(function*() {
      const ids = yield* offerMany(3)
      yield* post(`/admin/dlq/${ids[2]}/discard`, { reason: "x" })
      const { json } = yield* ask("/admin/dlq/report")
      assert.deepInclude(json, { queue: "mails", total: 3, kinds: { Permanent: 2 } })
      assert.deepInclude(json.states, { Dead: 2, Discarded: 1, Archived: 0 })
      assert.strictEqual(json.fingerprints[0].count, 2)
      const exported = yield* ask("/admin/dlq/export?state=Dead")
      assert.match(exported.headers.get("content-type") ?? "", /^application\/x-ndjson/)
      const lines = exported.text.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(lines.map(({ id }) => id), ids.slice(0, 2))
    }).pipe(Effect.provide(server())))

  it.live("an export goes into another queue, with all that was in it", () =>
    Effect.gen(function*() {
      yield* offerMany(3)
      const { text } = yield* ask("/admin/dlq/export")
      const other = yield* DeadLetterQueue.make({ name: "mails", schema: MailBody }).pipe(
        Effect.provide(Layer.fresh(DeadLetterQueue.layerStoreMemory))
      )
      assert.strictEqual((yield* other.import(Stream.succeed(text))).imported, 3)
    }).pipe(Effect.scoped, Effect.provide(server())))
})

describe("a store with something wrong in it", () => {
  it.live("DL-9 shows a corrupt record among the others, and the bytes that cannot be read", () =>
    Effect.gen(function*() {
      const [a, b] = yield* offerMany(2)
      const store = yield* DeadLetterQueue.DeadLetterStore
      for (const [id, change] of [[a, { meta: "{\"state\":" }], [b, { body: "\u0001 no JSON" }]] as const) {
        const row = (yield* store.get("mails", id!))!
        yield* store.replace({ ...row, ...change }, row.version)
      }
      const { json } = yield* ask("/admin/dlq?order=oldest")
      assert.deepStrictEqual(json.letters.map(({ reason, state }: Record<string, any>) => [state, reason?.["tag"]]), [
        ["Quarantined", "CorruptRecord"],
        ["Dead", undefined]
      ])
      assert.strictEqual((yield* ask(`/admin/dlq/${a}`)).status, 200)
      const unreadable = (yield* ask(`/admin/dlq/${b}`)).json
      assert.deepInclude(unreadable, { payload: null, raw: "\u0001 no JSON" })
      assert.strictEqual(unreadable.unreadable.reason, "Undecodable")
      assert.strictEqual((yield* ask("/admin/dlq/report")).json.total, 2)
      const { counts } = (yield* post("/admin/dlq/redrive", { ids: [a, b] })).json
      assert.deepInclude(counts, { redriven: 0, quarantined: 2 })
    }).pipe(Effect.provide(server(() => Effect.die("not to be called")))))

  it.live("cuts an export that breaks off, instead of ending it as if it were whole", () => {
    let letters = 0
    const breaking = Layer.effect(
      DeadLetterQueue.DeadLetterStore,
      Effect.map(DeadLetterQueue.DeadLetterStore, (store) =>
        DeadLetterQueue.DeadLetterStore.of({
          ...store,
          get: (queue, id) =>
            ++letters > 2
              ? Effect.fail(new DeadLetterQueue.DeadLetterStoreError({ operation: "get", cause: "the disk is gone" }))
              : store.get(queue, id)
        }))
    ).pipe(Layer.provide(DeadLetterQueue.layerStoreMemory))
    return Effect.gen(function*() {
      yield* offerMany(5)
      const url = yield* origin
      const read = Effect.promise(() =>
        fetch(`${url}/admin/dlq/export`, { headers: { "x-api-key": adminKey } })
          .then((reply) => reply.text())
          .then(() => "whole", () => "cut")
      )
      assert.strictEqual(yield* read, "cut")
    }).pipe(Effect.provide(server(undefined, breaking)))
  })
})

describe("a store that is down", () => {
  const down = Layer.effect(
    DeadLetterQueue.DeadLetterStore,
    Effect.map(DeadLetterQueue.DeadLetterStore, (store) => {
      const fail = (operation: string) => () =>
        Effect.fail(new DeadLetterQueue.DeadLetterStoreError({ operation, cause: new Error("at db.internal:5432") }))
      return DeadLetterQueue.DeadLetterStore.of({
        ...store,
        get: fail("get"),
        page: fail("page"),
        count: fail("count"),
        groups: fail("groups")
      })
    })
  ).pipe(Layer.provide(DeadLetterQueue.layerStoreMemory))

  it.live("is 503 with Retry-After everywhere, and its address stays inside", () =>
    Effect.gen(function*() {
      const replies = [
        yield* ask("/admin/dlq"),
        yield* ask("/admin/dlq/a"),
        yield* ask("/admin/dlq/report"),
        yield* ask("/admin/dlq/export"),
        yield* post("/admin/dlq/redrive", { filter: {} }),
        yield* post("/admin/dlq/a/discard", { reason: "x" })
      ]
      for (const reply of replies) {
        assert.deepStrictEqual([reply.status, reply.json.code], [503, "storage_unavailable"])
        assert.strictEqual(reply.headers.get("retry-after"), "1")
        assert.notInclude(reply.text, "db.internal")
      }
      const events = eventsOf((yield* post("/admin/dlq/redrive", { filter: {}, stream: true })).text)
      assert.deepStrictEqual(events.map(([name]) => name), ["start", "error"])
      assert.strictEqual(events[1]?.[1].code, "storage_unavailable")
    }).pipe(Effect.provide(server(undefined, down))))
})

describe("the operator's key", () => {
  it.live("is asked for by every endpoint: none is 401 with a challenge, another one 403", () =>
    Effect.gen(function*() {
      const id = yield* offer("ada")
      const paths: ReadonlyArray<readonly [string, RequestInit]> = [
        ["/admin/dlq", {}],
        ["/admin/dlq?limit=nonsense", {}],
        [`/admin/dlq/${id}`, {}],
        ["/admin/dlq/report", {}],
        ["/admin/dlq/export", {}],
        ["/admin/dlq/redrive", { method: "POST", body: JSON.stringify({ ids: [id] }) }],
        [`/admin/dlq/${id}/discard`, { method: "POST", body: JSON.stringify({ reason: "x" }) }]
      ]
      const json = { "content-type": "application/json" }
      for (const [path, init] of paths) {
        const none = yield* ask(path, { ...init, headers: json })
        assert.deepStrictEqual(refused(none), [401, "unauthorized", undefined], path)
        assert.strictEqual(none.headers.get("www-authenticate"), "Bearer")
        for (const headers of [{ "x-api-key": "guess" }, { authorization: `Bearer ${adminKey}x` }]) {
          const other = yield* ask(path, { ...init, headers: { ...json, ...headers } })
          assert.deepStrictEqual(refused(other), [403, "forbidden", undefined], path)
        }
      }
      assert.strictEqual((yield* ask("/admin/dlq", { headers: { authorization: `bearer ${adminKey}` } })).status, 200)
      assert.strictEqual((yield* ask("/admin/dlq?state=Dead")).json.letters.length, 1)
    }).pipe(Effect.provide(server())))
})

describe("the client that is derived from the API", () => {
  const client = Effect.flatMap(origin, (baseUrl) =>
    HttpApiClient.make(Api, {
      baseUrl,
      transformClient: HttpClient.mapRequest(HttpClientRequest.setHeader("x-api-key", adminKey))
    })).pipe(Effect.provide(FetchHttpClient.layer))

  it.live("lists, opens, redrives with and without events, and knows the problems", () =>
    Effect.gen(function*() {
      const { deadLetters } = yield* client
      const [a, b] = yield* offerMany(2)
      const page = yield* deadLetters.list({ query: { state: ["Dead"], limit: 1 } })
      assert.strictEqual(page.letters[0]?.id, b)
      const opened = yield* deadLetters.get({ params: { id: a! } })
      assert.deepStrictEqual(opened.payload, { to: "0", size: 1 })
      const report = yield* deadLetters.redrive({ payload: { ids: [a!] } })
      assert.isFalse(Stream.isStream(report))
      const streamed = yield* deadLetters.redrive({ payload: { filter: {}, stream: true } })
      if (!Stream.isStream(streamed)) return assert.fail("events were asked for")
      const events = yield* Stream.runCollect(streamed)
      assert.deepStrictEqual(events.map(({ event }) => event), ["start", "progress", "done"])
      const problem = yield* Effect.result(deadLetters.get({ params: { id: "nobody" } }))
      assert.isTrue(Result.isFailure(problem) && problem.failure instanceof AdminApi.LetterNotFound)
      const wrong = yield* Effect.result(deadLetters.list({ query: { cursor: "nonsense" } }))
      assert.isTrue(Result.isFailure(wrong) && wrong.failure instanceof AdminApi.InvalidRequest)
      const lines = yield* Stream.mkString(Stream.decodeText(yield* deadLetters.export({ query: {} })))
      assert.strictEqual(lines.trimEnd().split("\n").length, 2)
    }).pipe(Effect.provide(server())))
})
