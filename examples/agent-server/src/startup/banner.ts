/** What a person sees when the server is up: where to go, and what to try. */
import * as Redacted from "effect/Redacted"
import { shown } from "../health/Dependency.ts"
import { real } from "../providers/languageModel.ts"
import type { Provider } from "../providers/settings.ts"

/** What the banner tells. */
export interface Facts {
  readonly origin: string
  readonly provider: Provider
  readonly dataDir: string
  /** Where the sessions are, unless they are in `dataDir`. */
  readonly databaseUrl: Redacted.Redacted | undefined
  /** The key that was made for this run, or `undefined` when the environment has one. */
  readonly madeAdminKey: string | undefined
}

/** The lines of the banner. */
export const banner = ({ dataDir, databaseUrl, madeAdminKey, origin, provider }: Facts): string => {
  const chat = `${origin}/v1/agents/travel_planner/chat`
  const lines = [
    "",
    `agent-server is up at ${origin}`,
    "",
    ...modelLines(provider).map((line, index) => `  ${index === 0 ? "models " : "       "}    ${line}`),
    `  sessions   ${databaseUrl === undefined ? dataDir : shown(Redacted.value(databaseUrl))}`,
    `  console    ${origin}/`,
    `  docs       ${origin}/docs`,
    `  health     ${origin}/health/ready`,
    "",
    "  Say something:",
    `    curl -s ${chat} -H 'content-type: application/json' -d '{"message": "Three days in Lisbon?"}'`
  ]
  if (provider._tag === "Simulated") {
    const key = madeAdminKey ?? "$ADMIN_KEY"
    lines.push(
      "  Make 3 of 10 calls to the provider fail, and say it again:",
      `    curl -s -X PUT ${origin}/sim/faults -H 'x-api-key: ${key}' -H 'content-type: application/json' ` +
        `-d '{"llm-primary": {"error_rate": 0.3}}'`
    )
  }
  if (madeAdminKey !== undefined) lines.push("", `  The admin key of this run is ${madeAdminKey} (ADMIN_KEY sets one)`)
  return [...lines, ""].join("\n")
}

/** The models, the first choice first. */
const modelLines = (provider: Provider): ReadonlyArray<string> => {
  if (provider._tag === "Simulated") {
    return ["simulated; OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY has real ones asked"]
  }
  return real(provider).map(({ at, route }) => at === undefined ? route : `${route} at ${shown(at)}`)
}
