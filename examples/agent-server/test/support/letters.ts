/** What the server's operator does about dead letters, and how turns come to be some. */
import * as Effect from "effect/Effect"
import { chat, type Event, events, json, type Reply, request, setAllFaults } from "./client.ts"
import { adminKey, type RunningServer } from "./server.ts"

const asAdmin = { "x-api-key": adminKey }

/** A request with the operator's key. */
export const admin = (server: RunningServer, path: string, body?: unknown): Effect.Effect<Reply> =>
  request(
    server,
    path,
    body === undefined
      ? { headers: asAdmin }
      : { method: "POST", headers: { "content-type": "application/json", ...asAdmin }, body: JSON.stringify(body) }
  )

/** Breaks or mends all language models at once. */
export const breakModels = (server: RunningServer, faults: object): Effect.Effect<void> =>
  Effect.map(setAllFaults(server, faults), (reply) => {
    if (reply.status !== 200) throw new Error(reply.text)
  })

/** A turn that failed, and was kept. */
export interface Dead {
  readonly reply: Reply
  readonly letterId: string
  readonly sessionId: string
}

/** Says something that no model answers. */
export const failing = (
  server: RunningServer,
  body: object,
  options?: Parameters<typeof chat>[2]
): Effect.Effect<Dead> =>
  Effect.map(chat(server, body, options), (reply) => {
    const letterId = reply.headers.get("x-dead-letter")
    const { letter_id, session_id } = json(reply)
    if (letterId === null || letter_id !== letterId) throw new Error(`no letter: ${reply.status} ${reply.text}`)
    return { reply, letterId, sessionId: session_id }
  })

/** The states of all letters, by their ids. */
export const statesOf = (server: RunningServer): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.map(admin(server, "/admin/dlq?limit=1000"), (reply) =>
    Object.fromEntries(
      json(reply).letters.map(({ id, state }: { readonly id: string; readonly state: string }) => [id, state])
    ))

/** Redrives, and waits for the end. It is `any`: the tests say what must be in it. */
export const redrive = (server: RunningServer, asked: object): Effect.Effect<any> =>
  Effect.map(admin(server, "/admin/dlq/redrive", asked), json)

/** Redrives as a stream. */
export const redriveEvents = (server: RunningServer, asked: object): Effect.Effect<ReadonlyArray<Event>> =>
  Effect.map(admin(server, "/admin/dlq/redrive", { ...asked, stream: true }), events)

/** Who said what in a session. */
export const saidIn = (
  server: RunningServer,
  sessionId: string
): Effect.Effect<ReadonlyArray<readonly [role: string, content: string]>> =>
  Effect.map(request(server, `/v1/sessions/${sessionId}`), (reply) =>
    reply.status === 404
      ? []
      : json(reply).messages.map(({ content, role }: { readonly role: string; readonly content: string }) =>
        [role, content] as const
      ))
