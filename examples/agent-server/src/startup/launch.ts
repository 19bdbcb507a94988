/**
 * Runs the server until it is told to stop.
 *
 * What keeps it from starting is told on standard error, one plain line for each thing, and the exit code is 1. Told to stop
 * it ends what is under way, and the exit code is 0; a second signal ends it at once, with another code.
 */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CannotStart } from "./CannotStart.ts"

/** Launches the layer of a server as this process's program. What is beneath it, its log for one, outlives its end. */
export const launch = <A, E, R, E2>(server: Layer.Layer<A, E, R>, beneath: Layer.Layer<R, E2>): void =>
  NodeServer.runMain(
    Layer.launch(server).pipe(Effect.provide(beneath), Effect.tapCause(tellWhy)),
    { disableErrorReporting: true }
  )

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
