/** Every metric that these packages know, by name: Prometheus names with base units. */
import { http } from "./catalogue/http.ts"
import { llm } from "./catalogue/llm.ts"
import { observation } from "./catalogue/observation.ts"
import { operations } from "./catalogue/operations.ts"
import { resilience } from "./catalogue/resilience.ts"

export type { Entry } from "./catalogue/entry.ts"

export const catalogue = { ...http, ...llm, ...resilience, ...operations, ...observation } as const
