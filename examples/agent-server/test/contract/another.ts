/** Servers of a row's own. */
import * as Effect from "effect/Effect"
import type { Environment } from "../../src/storm/instance.ts"
import { json, type Reply } from "../support/client.ts"
import { temporaryFolder } from "../support/server.ts"
import { until } from "../support/until.ts"
import { askOf, type Sending } from "./ask.ts"
import { operator, startReady, Subject } from "./kit.ts"

/** A server like the subject, but for this. */
export const another = (environment: Environment, folder = temporaryFolder) =>
  Effect.gen(function*() {
    const like = (yield* Subject).environment
    const server = yield* startReady(yield* folder, { ...like, ...environment })
    const ask = (asked: string, sending?: Sending) => askOf(server, asked, sending)
    const chat = (body: object, headers = {}) => ask("POST /v1/agents/travel_planner/chat", { body, headers })
    const setFaults = (body: object) => ask("PUT /sim/faults", { body, headers: operator })
    return { server, ask, chat, setFaults }
  })

/** Starts a request, and waits until a simulated provider has it. */
export const underWay = <A>(
  ask: (asked: string, sending?: Sending) => Effect.Effect<Reply>,
  request: Effect.Effect<A>
) =>
  Effect.gen(function*() {
    const calls = Effect.map(
      ask("GET /sim/ledger", { headers: operator }),
      (reply): number => json(reply)["llm-primary"].calls
    )
    const before = yield* calls
    const fiber = yield* Effect.forkChild(request, { startImmediately: true })
    yield* until(calls, (now) => now > before)
    return fiber
  })
