/** Serves `GET /v1/agents`. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Agents from "../../agents/Agents.ts"
import { Api } from "../Api.ts"

const agents = Agents.agents.map(({ description, name }) => ({ name, description }))

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "agents",
  (handlers) => handlers.handle("list", () => Effect.succeed({ agents }))
)
