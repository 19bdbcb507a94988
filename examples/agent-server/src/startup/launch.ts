/**
 * Runs the server until it is told to stop.
 *
 * What keeps it from starting is told on standard error, one plain line for each thing, and the exit code is 1. Stopped by
 * SIGINT or SIGTERM it ends what is under way, and the exit code is 0.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { CannotStart } from "./CannotStart.ts"

/** Launches the layer of a server as this process's program. */
export const launch = <A, E>(server: Layer.Layer<A, E>): void =>
  NodeRuntime.runMain(Effect.tapCause(Layer.launch(server), tellWhy), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })

const tellWhy = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.sync(() => {
    if (Cause.hasInterruptsOnly(cause)) return
    const error = Cause.squash(cause)
    const lines = error instanceof CannotStart
      ? error.lines
      : [`an unexpected error: ${error instanceof Error ? error.message : String(error)}`]
    for (const line of lines) process.stderr.write(`agent-server cannot start: ${line}\n`)
    if (!(error instanceof CannotStart)) process.stderr.write(`${Cause.pretty(cause)}\n`)
  })
