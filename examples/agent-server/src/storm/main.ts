/** `pnpm --filter agent-server storm`: the server in a storm of failures, and what its users saw of it. */
import * as Command from "effect/cli/Command"
import { runMain } from "../cli/runMain.ts"
import { Missed, program } from "./command.ts"
import { NoWorld } from "./world.ts"

runMain(
  Command.run(program, { version: "0.1.0" }),
  (error) =>
    error instanceof Missed
      ? ""
      : error instanceof NoWorld
      ? `The storm cannot be carried out: ${error.message}`
      : undefined
)
