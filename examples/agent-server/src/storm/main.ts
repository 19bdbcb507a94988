/**
 * `pnpm --filter agent-server storm`: the server in a storm of failures, and what its users saw of it.
 *
 * Exit codes: 0 all figures reached; 1 some missed, or the storm could not be carried out; 2 the command makes no sense;
 * 130 stopped by Ctrl-C.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Output from "../cli/Output.ts"
import { Missed, program, Usage } from "./command.ts"
import { NoWorld } from "./world.ts"

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  const error = Cause.squash(exit.cause)
  return error instanceof Usage || CliError.isCliError(error) ? 2 : 1
}

const tellWhy = (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(Output.Output, ({ say }) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || error instanceof Missed || CliError.isCliError(error)) return Effect.void
    if (error instanceof Usage) return say(error.sentence)
    if (error instanceof NoWorld) return say(`The storm cannot be carried out: ${error.message}`)
    return say(`An unexpected error: ${Cause.pretty(cause)}`)
  })

Command.run(program, { version: "0.1.0" }).pipe(
  Effect.tapCause(tellWhy),
  Effect.provide(Layer.merge(Output.layer(process.stdout, process.stderr), NodeServices.layer)),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCode(exit)) })
)
