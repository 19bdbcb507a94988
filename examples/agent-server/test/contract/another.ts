/** Servers of a row's own. */
import * as Effect from "effect/Effect"
import type { Environment } from "../../src/storm/instance.ts"
import { temporaryFolder } from "../support/server.ts"
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
