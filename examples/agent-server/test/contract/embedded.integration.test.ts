/** The contract, row by row, on a server that has nothing but itself. */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { tests } from "./contract.ts"
import { subject } from "./kit.ts"

it.layer(subject(Effect.succeed({})), { excludeTestServices: true, timeout: "2 minutes" })(
  "a server with the embedded stores",
  tests
)
