/** What clients of the server do, with nothing but `fetch`. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { adminKey, type RunningServer, unlimitedKey } from "./server.ts"
import { until } from "./until.ts"

/** A reply, read to its end. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** A request of any kind. */
export const request = (server: RunningServer, path: string, init?: RequestInit): Effect.Effect<Reply> =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${server.origin}${path}`, { signal, ...init })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** The JSON of a reply. It is `any`: the tests say what must be in it. */
export const json = (reply: Reply): any => JSON.parse(reply.text)

const jsonInit = (method: string, body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
  method,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

/** Says something to an agent. A string is sent as it is. */
export const chat = (
  server: RunningServer,
  body: unknown,
  options: { readonly agent?: string; readonly headers?: Readonly<Record<string, string>> } = {}
): Effect.Effect<Reply> =>
  request(
    server,
    `/v1/agents/${options.agent ?? "travel_planner"}/chat`,
    jsonInit("POST", body, options.headers)
  )

/** What a client sends that has a key without limits. */
export const unlimited = { headers: { "x-api-key": unlimitedKey } } as const

/** An event of a stream. */
export interface Event {
  readonly event: string
  /** `any`: the tests say what must be in it. */
  readonly data: any
}

/** The events of a streamed reply, without the comments that keep it open. */
export const events = (reply: Reply): ReadonlyArray<Event> =>
  reply.text.split("\n\n").filter((block) => block.trim() !== "" && !block.startsWith(":")).map((block) => {
    const lines = block.split("\n")
    const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ""
    return { event: field("event"), data: JSON.parse(field("data")) }
  })

/** What a simulated provider can be told to have, by provider. */
export type Faults = Readonly<Record<string, object>>

/** Breaks or mends simulated providers. */
export const setFaultsOf = (server: RunningServer, faults: Faults): Effect.Effect<Reply> =>
  request(server, "/sim/faults", jsonInit("PUT", faults, { "x-api-key": adminKey }))

/** Breaks or mends the first of the simulated models' providers. */
export const setFaults = (server: RunningServer, faults: object): Effect.Effect<Reply> =>
  setFaultsOf(server, { "llm-primary": faults })

/** The providers of the simulated models, the first choice first. */
export const modelProviders = ["llm-primary", "llm-secondary", "llm-anthropic"] as const

/** Breaks or mends the providers of all simulated models. */
export const setAllFaults = (server: RunningServer, faults: object): Effect.Effect<Reply> =>
  setFaultsOf(server, Object.fromEntries(modelProviders.map((name) => [name, faults])))

/** Something that only the operator may ask for. */
export const admin = (server: RunningServer, path: string, method = "GET"): Effect.Effect<Reply> =>
  request(server, path, { method, headers: { "x-api-key": adminKey } })

/** How many calls a simulated provider has had; health checks are none. */
export const callsOf = (server: RunningServer, provider: string): Effect.Effect<number> =>
  Effect.map(admin(server, "/sim/ledger"), (reply) => json(reply)[provider].calls)

/** Starts a request, and goes on when the first model's provider has been called: the request is under way. */
export const underWay = <A>(server: RunningServer, request: Effect.Effect<A>): Effect.Effect<Fiber.Fiber<A>> =>
  Effect.gen(function*() {
    const calls = callsOf(server, "llm-primary")
    const before = yield* calls
    const fiber = yield* Effect.forkChild(request, { startImmediately: true })
    yield* until(calls, (now) => now > before)
    return fiber
  })
