/** `pnpm --filter agent-server dlq`: the dead letters of a running server, from a terminal or a script. */
import * as Command from "effect/cli/Command"
import { program, SomeFailed } from "./commands.ts"
import { Refused } from "./Refused.ts"
import { runMain } from "./runMain.ts"

runMain(
  Command.run(program, { version: "0.1.0" }),
  (error) => error instanceof SomeFailed ? "" : error instanceof Refused ? error.sentence : undefined
)
