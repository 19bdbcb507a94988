/** `/v1/sessions/:id`, and the list of the agents. */
import type { FastifyInstance } from "fastify"
import { agents } from "../agents.ts"
import type { Sessions } from "../sessions.ts"

/** Adds the routes. */
export const addSessions = (app: FastifyInstance, sessions: Sessions): void => {
  app.get("/v1/agents", async () => ({ agents: agents.map(({ description, name }) => ({ name, description })) }))
  app.get<{ Params: { id: string } }>("/v1/sessions/:id", async ({ params }) => sessions.get(params.id))
  app.delete<{ Params: { id: string } }>("/v1/sessions/:id", async ({ params }, reply) => {
    sessions.delete(params.id)
    return reply.code(204).send()
  })
}
