/**
 * Runs a command of a terminal or a script to its exit code.
 *
 * 0: done. 1: refused, or failed. 2: the command makes no sense. 130: stopped by Ctrl-C.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Output from "./Output.ts"

/** The command makes no sense as it was given. */
export class Usage extends Data.TaggedError("Usage")<{ readonly sentence: string }> {}

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  const error = Cause.squash(exit.cause)
  return error instanceof Usage || CliError.isCliError(error) ? 2 : 1
}

const tellWhy = (sentenceOf: (error: unknown) => string | undefined) => (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(Output.Output, ({ say }) => {
    const error = Cause.squash(cause)
    // What the command line is wrong about was told already.
    if (Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)) return Effect.void
    const sentence = error instanceof Usage ? error.sentence : sentenceOf(error)
    if (sentence === "") return Effect.void
    return say(sentence ?? `An unexpected error: ${Cause.pretty(cause)}`)
  })

/** Runs it. `sentenceOf` says an error in words: none where its output has said it, `undefined` for one that nobody expected. */
export const runMain = <E>(
  command: Effect.Effect<void, E, Output.Output | NodeServices.NodeServices>,
  sentenceOf: (error: unknown) => string | undefined
): void => {
  // Whoever reads the output has read enough, as `head` has.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))
  command.pipe(
    Effect.tapCause(tellWhy(sentenceOf)),
    Effect.provide(Layer.merge(Output.layer(process.stdout, process.stderr), NodeServices.layer)),
    NodeRuntime.runMain({ disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCode(exit)) })
  )
}
