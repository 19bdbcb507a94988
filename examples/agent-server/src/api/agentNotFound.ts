/** What a client is told that asks for an agent which there is not. */
import { says } from "effect-resilience/http/Problem"
import * as Agents from "../agents/Agents.ts"
import { AgentNotFound } from "./Problems.ts"

/** There is no agent of this name; there are these. */
export const agentNotFound = (name: string): AgentNotFound =>
  new AgentNotFound(
    says(
      `There is no agent "${name.slice(0, 100)}". There are: ${Agents.agents.map((agent) => agent.name).join(", ")}.`
    )
  )
