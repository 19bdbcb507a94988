/** What a turn came to. */
import type { Served } from "../sessions/Sessions.ts"
import type { Agent } from "./Agents.ts"
import type { ModelAnswer } from "./askModels.ts"

/** A turn that is over and stored. */
export interface TurnReply {
  readonly sessionId: string
  readonly agent: string
  readonly text: string
  readonly model: string
  readonly usage: {
    readonly promptTokens: number
    readonly completionTokens: number
    readonly costUsd: number | null
  }
  readonly served: Served
  /** The dead letter of a turn that got no more than an apology. */
  readonly letterId?: string
}

/** The reply of an agent, once it is stored. */
export const toReply = (agent: Agent, sessionId: string, answer: ModelAnswer): TurnReply => ({
  sessionId,
  agent: agent.name,
  text: answer.text,
  model: answer.model,
  usage: {
    promptTokens: answer.promptTokens,
    completionTokens: answer.completionTokens,
    costUsd: answer.costUsd
  },
  served: answer.served
})
