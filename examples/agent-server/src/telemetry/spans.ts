/** The spans of the server's own work. */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"

/** A session in a trace: two turns of one can be told to be that, and nobody learns its id, which opens it. */
const hashed = (sessionId: string): string => createHash("sha256").update(sessionId).digest("hex").slice(0, 16)

/** One turn of an agent. */
export const invokeAgent = (agent: string, sessionId: string) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.withSpan(`invoke_agent ${agent}`, {
    attributes: {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": agent,
      "gen_ai.conversation.id": hashed(sessionId)
    }
  }, { captureStackTrace: false }))
