/** Requests, and what every reply of the server has whatever was asked. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Event, events, json, type Reply, request } from "../support/client.ts"
import type { RunningServer } from "../support/server.ts"
import * as Bodies from "./bodies.ts"
import { keys, operator, Subject } from "./kit.ts"

/** What is sent beside the path. An object is JSON, bytes are a recording, and a string is sent as it is, said to be JSON. */
export interface Sending {
  readonly body?: object | string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

/** A request, such as `GET /v1/agents`, of a caller without limits to a server. Its reply keeps the promises that all of them keep. */
export const askOf = (server: RunningServer, asked: string, { body, headers }: Sending = {}): Effect.Effect<Reply> => {
  const [method = "", path = ""] = asked.split(" ")
  const type = body === undefined
    ? {}
    : { "content-type": body instanceof Uint8Array ? "audio/wav" : "application/json" }
  return Effect.tap(
    request(server, path, {
      method,
      headers: { "x-api-key": keys.unlimited, ...type, ...headers },
      ...(body === undefined ? {} : { body: toBody(body) })
    }),
    (reply) => Effect.sync(() => keepsPromises(asked, reply))
  )
}

const toBody = (body: object | string | Uint8Array): string | Uint8Array<ArrayBuffer> =>
  body instanceof Uint8Array ? body.slice() : typeof body === "string" ? body : JSON.stringify(body)

/** {@link askOf} the subject. */
export const ask = (asked: string, sending?: Sending): Effect.Effect<Reply, never, Subject> =>
  Effect.flatMap(Subject, ({ server }) => askOf(server, asked, sending))

/** {@link ask} without a key. An empty one is none. */
export const askAnonymously = (asked: string, { headers, ...sending }: Sending = {}) =>
  ask(asked, { ...sending, headers: { "x-api-key": "", ...headers } })

/** {@link ask} with the operator's key. */
export const askAsOperator = (asked: string, { headers, ...sending }: Sending = {}) =>
  ask(asked, { ...sending, headers: { ...operator, ...headers } })

/** What somebody says to an agent. */
export const say = (body: object | string, headers?: Readonly<Record<string, string>>, agent = "travel_planner") =>
  ask(`POST /v1/agents/${agent}/chat`, { body, ...(headers === undefined ? {} : { headers }) })

/** An id, no place in caches, and a problem wherever something went wrong that says the same in its status, its headers and its body. */
const keepsPromises = (asked: string, reply: Reply): void => {
  const { headers, status, text } = reply
  const id = headers.get("x-request-id")
  expect(id, `${asked} has no X-Request-ID`).toMatch(/^[\x21-\x7e]{1,200}$/)
  if (asked.startsWith("HEAD ")) expect(text).toBe("")
  if (status === 204) expect(text).toBe("")
  // The console's own files are asked for again with each release.
  const isData = !asked.includes(" /console/") && /json|event-stream/.test(headers.get("content-type") ?? "")
  if (isData || status === 204) expect([asked, headers.get("cache-control")]).toEqual([asked, "no-store"])
  if (status < 400 || asked.startsWith("HEAD ") || Bodies.isDown(reply)) return
  expect([asked, headers.get("content-type")]).toEqual([asked, "application/problem+json"])
  const problem = problemIn(json(reply))
  expect([problem.status, problem.request_id]).toEqual([status, id])
  expect(headers.get("retry-after")).toBe(problem.retry_after === undefined ? null : String(problem.retry_after))
  if (status === 401) expect(headers.get("www-authenticate")).toMatch(/^Bearer\b/)
  if (status === 405) expect(headers.get("allow")).toMatch(/^[A-Z]+(, [A-Z]+)*$/)
}

/** The codes of all problems that were answered to the rows so far. */
export const answered = new Set<string>()

/** Decodes what must have these members and no others. */
export const exactly = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, body: unknown): S["Type"] =>
  Schema.decodeUnknownSync(schema)(body, { errors: "all", onExcessProperty: "error" })

/** The problem that a body is: one of the codes, with its status, its title's page, and its members. It is `any`: the rows say what is in them. */
export const problemIn = (body: any): any => {
  const kind = Bodies.problems[body.code]
  if (kind === undefined) throw new Error(`no problem of the contract: ${JSON.stringify(body)}`)
  exactly(kind.schema, body)
  expect([body.status, body.type]).toEqual([kind.status, `/problems/${body.code}`])
  expect(body.detail).toBe(body.message)
  answered.add(body.code)
  return body
}

/** The body of a reply with this status, which has these members and no others. */
export const replied = <S extends Schema.ConstraintDecoder<unknown>>(
  reply: Reply,
  status: number,
  schema: S
): S["Type"] => {
  expect([reply.status, reply.status === status ? "" : reply.text]).toEqual([status, ""])
  expect(reply.headers.get("content-type")).toBe("application/json")
  return exactly(schema, json(reply))
}

/** The problem of a reply, which has this status and this code. {@link ask} has seen to the rest. It is `any` like all JSON here. */
export const refused = (reply: Reply, status: number, code: string): any => {
  const body = reply.text.startsWith("{") ? json(reply) : {}
  expect([reply.status, body.code ?? reply.text]).toEqual([status, code])
  return body
}

/** The events of a stream that ended as one should, each with these members and no others. */
export const streamed = (
  reply: Reply,
  schemas: Readonly<Record<string, Schema.ConstraintDecoder<unknown>>>
): ReadonlyArray<Event> => {
  expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "text/event-stream"])
  expect([reply.headers.get("cache-control"), reply.headers.get("x-accel-buffering")]).toEqual(["no-store", "no"])
  expect(reply.text.endsWith("\n\n")).toBe(true)
  const all = events(reply)
  for (const { data, event } of all) {
    const schema = schemas[event]
    if (event === "error" && schema === undefined) problemIn(data)
    else if (schema === undefined) throw new Error(`no event of the contract: ${event}`)
    else exactly(schema, data)
  }
  return all
}
