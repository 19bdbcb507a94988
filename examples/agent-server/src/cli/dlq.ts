/**
 * `pnpm --filter agent-server dlq`: the dead letters of a running server, from a terminal or a script.
 *
 * Exit codes: 0 done; 1 refused, or failed for some; 2 the command makes no sense; 130 stopped by Ctrl-C.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { program, SomeFailed, Usage } from "./commands.ts"
import * as Output from "./Output.ts"
import { Refused } from "./Refused.ts"

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  const error = Cause.squash(exit.cause)
  return error instanceof Usage || CliError.isCliError(error) ? 2 : 1
}

const tellWhy = (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(Output.Output, ({ say }) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || error instanceof SomeFailed || CliError.isCliError(error)) return Effect.void
    if (error instanceof Refused || error instanceof Usage) return say(error.sentence)
    return say(`An unexpected error: ${Cause.pretty(cause)}`)
  })

// Whoever reads the output has read enough, as `head` has.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

Command.run(program, { version: "0.1.0" }).pipe(
  Effect.tapCause(tellWhy),
  Effect.provide(Layer.merge(Output.layer(process.stdout, process.stderr), NodeServices.layer)),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCode(exit)) })
)
