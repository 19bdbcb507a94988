/** An `HttpApi` of somebody else that has the operator's groups mounted, on a real socket. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as AdminKey from "effect-resilience/http/AdminKey"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import { createServer } from "node:http"

export const adminKey = "the-operators-key"

/** Serves the routes of an API, with all that is around them in a server that uses this package. */
export const serving = <E, R>(routes: Layer.Layer<never, E, R>) =>
  HttpRouter.serve(Layer.provide(routes, AdminKey.layer(Redacted.make(adminKey))), {
    disableLogger: true,
    disableListenLog: true,
    middleware: (app) => RequestId.middleware(ProblemReplies.middleware()(app))
  }).pipe(
    // What goes wrong in these tests is asked for.
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )

export const origin = Effect.map(HttpServer.HttpServer, ({ address }) => HttpServer.formatAddress(address))

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. */
  // What a reply looks like is what the tests are about.
  readonly json: any
}

const isJson = (headers: Headers) => headers.get("content-type")?.includes("json") === true

/** Asks with the operator's key, unless other headers are given. */
export const ask = (path: string, init: RequestInit = {}): Effect.Effect<Reply, never, HttpServer.HttpServer> =>
  Effect.flatMap(origin, (url) =>
    Effect.promise(async (signal) => {
      const reply = await fetch(`${url}${path}`, { headers: { "x-api-key": adminKey }, ...init, signal })
      const text = await reply.text()
      const json = isJson(reply.headers) && !text.includes("\n") && text !== "" ? JSON.parse(text) : undefined
      return { status: reply.status, headers: reply.headers, text, json }
    }))

export const post = (path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
  ask(path, {
    method: "POST",
    headers: { "x-api-key": adminKey, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
  })
