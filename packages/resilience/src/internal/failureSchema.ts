/** The parts of a failure's `Info` as schemas, for errors and records that cross a wire or are stored. */
import * as Schema from "effect/Schema"

export const Kind = Schema.Literals([
  "Transient",
  "RateLimited",
  "Overloaded",
  "Timeout",
  "Permanent",
  "Critical",
  "Cancelled"
])

export const Scope = Schema.Literals(["request", "dependency"])
