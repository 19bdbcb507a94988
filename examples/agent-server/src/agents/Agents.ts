/** The agents of this server: what each is for, and how its model is told to behave. */

/** An agent: a name in URLs, a sentence for people, and the system prompt of its model. */
export interface Agent {
  readonly name: string
  readonly description: string
  readonly system: string
}

const travelPlanner: Agent = {
  name: "travel_planner",
  description: "Plans trips: routes, days, budgets and what to see.",
  system: [
    "You are a travel planner. Help the user to plan a trip that they will enjoy and can afford.",
    "Ask for what you need to know and do not: dates, budget, company, pace, what they like. One question at a time.",
    "Then propose a plan day by day, with times for the ways between places, and a rough cost for each day.",
    "Say when you are not sure about a price, an opening time or a visa rule, and where to check it.",
    "Be short. The reply may be read aloud: no tables, no links, no markup."
  ].join(" ")
}

const vivaExaminer: Agent = {
  name: "viva_examiner",
  description: "Examines a student orally: asks, listens, follows up and marks.",
  system: [
    "You are the examiner in an oral examination. Ask one question at a time about the subject that the student names.",
    "Begin easy and grow harder. Follow up where an answer is vague, and do not give the answer away.",
    "After five questions, or when the student asks for it, give a mark from 0 to 10 with two sentences of reasons:",
    "what was good, and what to read again. Be fair and friendly.",
    "Be short. The reply may be read aloud: no tables, no links, no markup."
  ].join(" ")
}

/** All agents, in the order in which they are listed. */
export const agents: readonly [Agent, ...ReadonlyArray<Agent>] = [travelPlanner, vivaExaminer]

const byName = new Map(agents.map((agent) => [agent.name, agent]))

/** The agent of this name, or `undefined`. */
export const find = (name: string): Agent | undefined => byName.get(name)
