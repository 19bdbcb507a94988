import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Deadline from "effect-resilience/Deadline"
import * as Problem from "effect-resilience/http/Problem"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RequestId from "effect-resilience/http/RequestId"
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"

/** Status, headers and body of a reply. */
const read = async (response: Response) => ({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: await response.json() as Record<string, unknown>
})

const replied = async (reply: Effect.Effect<HttpServerResponse.HttpServerResponse>) =>
  read(HttpServerResponse.toWeb(await Effect.runPromise(reply)))

describe("Problem.reply", () => {
  it("is a problem of RFC 9457, with a code, a message and the request's id", async () => {
    const reply = Problem.reply("forbidden", { message: "Not with this key." })
    assert.deepStrictEqual(await replied(Effect.provideService(reply, RequestId.RequestId, "seven")), {
      status: 403,
      headers: { "content-type": "application/problem+json", "content-length": "156" },
      body: {
        type: "about:blank",
        status: 403,
        title: "Forbidden",
        detail: "Not with this key.",
        code: "forbidden",
        message: "Not with this key.",
        request_id: "seven"
      }
    })
  })

  it("lets further members replace none of those that every problem has", async () => {
    const { body } = await replied(
      Problem.reply("forbidden", { message: "No.", members: { status: 200, code: "ok", request_id: "x", more: 1 } })
    )
    assert.deepStrictEqual([body["status"], body["code"], body["request_id"], body["more"]], [403, "forbidden", "", 1])
  })

  it("rounds the time to stay away up, and leaves an infinite one out", async () => {
    const { body, headers } = await replied(Problem.reply("overloaded", { message: "No.", retryAfter: "1001 millis" }))
    assert.deepStrictEqual([body["retry_after"], headers["retry-after"]], [2, "2"])
    const never = await replied(Problem.reply("overloaded", { message: "No.", retryAfter: Duration.infinity }))
    assert.notProperty(never.body, "retry_after")
    assert.notProperty(never.headers, "retry-after")
  })

  it("refuses a time that is none", () => {
    assert.throws(() => Problem.reply("overloaded", { message: "No.", retryAfter: "-1 second" }), RangeError)
  })
})

class SessionBusy extends HttpApiError.Problem<SessionBusy>()(
  "SessionBusy",
  { type: "/problems/session_busy", status: 409, title: "Session is busy" },
  { ...Problem.members("session_busy"), retry_after: Problem.RetryAfter }
) {}

const Input = Schema.Struct({ text: Schema.String, count: Schema.Int })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("group").add(
    HttpApiEndpoint.post("echo", "/echo", { payload: Input, success: Schema.String }),
    HttpApiEndpoint.get("busy", "/busy", { error: SessionBusy })
  )
).annotate(HttpApi.ParseOptions, { errors: "all" })

const handlers = HttpApiBuilder.group(
  Api,
  "group",
  (group) =>
    group.handle("echo", ({ payload }) => Effect.succeed(payload.text))
      .handle("busy", () => Problem.failWith(new SessionBusy({ ...Problem.says("Try again."), retry_after: 3 })))
)

const bulkhead = Bulkhead.make({ name: "one", limit: 1 })

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api),
  HttpRouter.add("GET", "/dies", Effect.die(new Error("a secret"))),
  HttpRouter.add("GET", "/fails", Effect.fail({ password: "a secret" })),
  HttpRouter.add(
    "GET",
    "/full",
    Effect.flatMap(bulkhead, (one) =>
      Effect.andThen(
        Effect.forkChild(one.run(Effect.never), { startImmediately: true }),
        one.run(Effect.succeed(HttpServerResponse.empty()))
      ))
  ),
  HttpRouter.add("GET", "/slow", Deadline.within(Effect.never, "1 millis")),
  HttpRouter.add(
    "GET",
    "/empty/:status",
    ({ url }) =>
      Effect.succeed(HttpServerResponse.empty({ status: Number(url.slice(-3)), headers: { "x-kept": "yes" } }))
  ),
  HttpRouter.add("GET", "/own", Effect.succeed(HttpServerResponse.text("mine", { status: 404 }))),
  HttpRouter.add(
    "POST",
    "/text",
    Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))
    )
  ),
  HttpRouter.add("GET", "/stops", Effect.interrupt)
)

const table: Readonly<Record<string, ReadonlyArray<string>>> = { "/echo": ["POST"] }

/** Sends a request to the routes; its reply, and what was logged. */
const ask = (url: string, init?: RequestInit) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    const app = yield* HttpRouter.toHttpEffect(routes.pipe(Layer.provide(handlers)))
    const served = ProblemReplies.middleware({
      findRoute: (url) => table[url] === undefined ? undefined : { methods: table[url] }
    })(app)
    const handler = HttpEffect.toWebHandler(
      RequestId.middleware(served).pipe(
        Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(100)),
        Effect.provide(Logger.layer([logger]))
      )
    )
    const request = new Request(`http://app.test${url}`, {
      ...init,
      headers: { "x-request-id": "seven", ...init?.headers as Record<string, string> }
    })
    const response = yield* Effect.promise(() => handler(request))
    const text = yield* Effect.promise(() => response.text())
    const headers = Object.fromEntries(response.headers)
    const body = headers["content-type"] === "application/problem+json" ? JSON.parse(text) : text
    return { status: response.status, headers, body, text, lines }
  }).pipe(Effect.scoped, Effect.provide(HttpServer.layerServices))

const json = (value: unknown, type = "application/json"): RequestInit => ({
  method: "POST",
  body: typeof value === "string" ? value : JSON.stringify(value),
  headers: { "content-type": type }
})

describe("ProblemReplies: what goes wrong outside of the endpoints' own errors", () => {
  for (
    const [what, url, init, status, code] of [
      ["a path that does not exist", "/nowhere", undefined, 404, "route_not_found"],
      ["a method that does not exist", "/echo", { method: "GET" }, 405, "method_not_allowed"],
      ["a body that does not fit", "/echo", json({ text: 5 }), 400, "invalid_request"],
      ["a body that is no JSON", "/echo", json("{"), 400, "invalid_request"],
      ["a body of another type", "/echo", json("a=b", "text/plain"), 415, "unsupported_media_type"],
      ["a body that is too large", "/text", json("x".repeat(101)), 413, "body_too_large"],
      ["a defect", "/dies", undefined, 500, "internal_error"],
      ["a failure that nobody handled", "/fails", undefined, 500, "internal_error"],
      ["a bulkhead that is full", "/full", undefined, 503, "overloaded"],
      ["a deadline that passed", "/slow", undefined, 504, "deadline_exceeded"],
      ["a server that stops", "/stops", undefined, 503, "shutting_down"],
      ["an empty reply of another status", "/empty/418", undefined, 418, "request_refused"],
      ["an empty 404", "/empty/404", undefined, 404, "not_found"],
      ["an empty 502", "/empty/502", undefined, 502, "internal_error"]
    ] as const
  ) {
    it.live(`${what} is a problem with the code ${code}`, () =>
      Effect.gen(function*() {
        const { body, headers, text, status: got } = yield* ask(url, init)
        assert.strictEqual(got, status)
        assert.strictEqual(headers["content-type"], "application/problem+json")
        assert.deepInclude(body, { status, code, request_id: "seven" })
        assert.strictEqual(body.message, body.detail)
        assert.strictEqual(headers["x-request-id"], "seven")
        assert.notMatch(text, /secret|\.ts:|at file:/)
      }))
  }

  it.live("names all that is wrong with input, and where", () =>
    Effect.gen(function*() {
      const { body } = yield* ask("/echo", json({ text: 5, count: "x" }))
      assert.deepStrictEqual(
        body.errors.map((error: { readonly in: string; readonly path: string }) => [error.in, error.path]),
        [["body", "text"], ["body", "count"]]
      )
    }))

  it.live("logs once what the client is not told, and nothing of what is the client's fault", () =>
    Effect.gen(function*() {
      assert.lengthOf((yield* ask("/dies")).lines, 1)
      assert.lengthOf((yield* ask("/fails")).lines, 1)
      assert.lengthOf((yield* ask("/echo", json({}))).lines, 0)
      assert.lengthOf((yield* ask("/nowhere")).lines, 0)
    }))

  it.live("says when to come back, which methods there are, and how large a body may be", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("/full")).headers["retry-after"], "1")
      assert.strictEqual((yield* ask("/stops")).headers["retry-after"], "1")
      assert.strictEqual((yield* ask("/echo")).headers["allow"], "POST")
      assert.strictEqual((yield* ask("/text", json("x".repeat(101)))).body.limit, 100)
    }))

  it.live("leaves replies of the endpoints' own alone, and the headers of empty ones", () =>
    Effect.gen(function*() {
      const own = yield* ask("/own")
      assert.deepStrictEqual([own.status, own.body], [404, "mine"])
      const busy = yield* ask("/busy")
      assert.deepStrictEqual([busy.status, busy.body.code, busy.headers["retry-after"]], [409, "session_busy", "3"])
      assert.strictEqual(busy.body.request_id, "seven")
      assert.strictEqual((yield* ask("/empty/418")).headers["x-kept"], "yes")
    }))
})
