/**
 * Which failure goes where, as a pure function.
 *
 * A failure asks two things: who may answer this request now, and what becomes of the route that failed. A failure of
 * the request never counts against its route.
 */
import type { Info } from "../../Failure.ts"

/**
 * Who may answer this request now.
 *
 * - `Any`: every other route
 * - `Longer`: those with a longer context window
 * - `Permitted`: those that may be given what another one refused for its content
 * - `None`: nobody; the failure is the answer
 */
export type Onward = "Any" | "Longer" | "Permitted" | "None"

/**
 * What becomes of the route.
 *
 * - `Keep`: nothing
 * - `Limit`: not before it asked to be, if it did
 * - `Cool`: not for a while, longer each time
 * - `Halt`: not until somebody has looked, or a long time has passed
 */
type Fate = "Keep" | "Limit" | "Cool" | "Halt"

export interface Edge {
  readonly onward: Onward
  readonly fate: Fate
}

/** Reasons of `effect/ai` and statuses of HTTP that say: our account or our key, not this request. */
const accountCodes = new Set(["AuthenticationError", "QuotaExhaustedError", "401", "402", "403", "407", "NOAUTH"])

const contentCodes = new Set(["ContentPolicyError"])

export const edge = ({ code, kind, scope }: Info): Edge => {
  if (code === "ContextTooLong" || code === "413") return { onward: "Longer", fate: "Keep" }
  if (code !== undefined && contentCodes.has(code)) return { onward: "Permitted", fate: "Keep" }
  switch (kind) {
    case "Cancelled":
      return { onward: "None", fate: "Keep" }
    case "Permanent":
      if (scope === "request") return { onward: "None", fate: "Keep" }
      return { onward: "Any", fate: code !== undefined && accountCodes.has(code) ? "Halt" : "Keep" }
    case "Critical":
      return { onward: "Any", fate: scope === "request" ? "Keep" : "Halt" }
    case "RateLimited":
      return { onward: "Any", fate: scope === "request" ? "Keep" : "Limit" }
    default:
      return { onward: "Any", fate: scope === "request" ? "Keep" : "Cool" }
  }
}
