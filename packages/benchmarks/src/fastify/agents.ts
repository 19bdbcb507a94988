/** Who there is to talk to, and what a reply costs. */

/** An agent. */
export interface Agent {
  readonly name: string
  readonly description: string
  readonly system: string
}

/** All agents. Their prompts are as long as those of the agent server. */
export const agents: ReadonlyArray<Agent> = [
  {
    name: "travel_planner",
    description: "Plans trips: routes, days, budgets and what to see.",
    system:
      "You plan trips that people will enjoy and can afford. Find out what you do not know yet about the dates, the "
      + "company, the budget, the pace and the taste of the user, with a single question in each reply. When you know "
      + "enough, lay out a plan for every day, with the time that each way takes and about what it costs. Where you "
      + "are not certain of a price, of opening hours or of a visa, say so, and say where it can be looked up. Keep "
      + "your replies short, because they may be read aloud: write no tables, no links and no markup."
  },
  {
    name: "viva_examiner",
    description: "Examines a student orally: asks, listens, follows up and marks.",
    system:
      "You examine a student orally on the subject that they name. Put one question at a time; begin with easy ones "
      + "and let them become harder. Ask again where an answer stays vague, and never give it away. When five questions "
      + "are answered, or the student wants to end, give a mark between 0 and 10 and say in two sentences what was "
      + "good and what should be read once more. Be friendly and fair. Keep your replies short, because they may be "
      + "read aloud: write no tables, no links and no markup."
  }
]

/** The agents by name. */
export const agentsByName: ReadonlyMap<string, Agent> = new Map(agents.map((agent) => [agent.name, agent]))

/** US dollars for a million tokens. */
const prices: Readonly<Record<string, { readonly prompt: number; readonly completion: number }>> = {
  "gpt-4o": { prompt: 2.5, completion: 10 },
  "gpt-4o-mini": { prompt: 0.15, completion: 0.6 }
}

const datedVersion = /-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/

/** What these tokens cost in US dollars, or `null` where nobody knows. */
export const costUsd = (model: string, promptTokens: number, completionTokens: number): number | null => {
  const price = prices[model.replace(datedVersion, "")]
  if (price === undefined) return null
  return Math.round(promptTokens * price.prompt * 100 + completionTokens * price.completion * 100) / 1e8
}
