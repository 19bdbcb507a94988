/** A program that ends as an orchestrator expects: signals, exit codes, and the time there is in all. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { constants } from "node:os"

/** What has to be shut down before the program is interrupted. */
export interface Server {
  /** `now`: nobody has to learn of it first. */
  readonly shutDown: (options: { readonly now: boolean }) => Effect.Effect<unknown>
  /** After how long the process will be killed. */
  readonly graceMillis: number
}

/** The servers of the running program, when it was started by {@link run}. */
export const CurrentServers = Context.Reference<Set<Server> | undefined>(
  "@effect-resilience/node/NodeServer/CurrentServers",
  { defaultValue: () => undefined }
)

type Signal = "SIGINT" | "SIGTERM"

export const run = <A, E>(effect: Effect.Effect<A, E>, options: {
  /** For a program without servers; each of them says its own. */
  readonly graceMillis: number
  readonly disableErrorReporting: boolean
}): void => {
  const servers = new Set<Server>()
  runMain(servers, options.graceMillis)(Effect.provideService(effect, CurrentServers, servers), {
    disableErrorReporting: options.disableErrorReporting
  })
}

const runMain = (servers: ReadonlySet<Server>, graceMillis: number) =>
  Runtime.makeRunMain(({ fiber, teardown }) => {
    let told = false

    const onSignal = (signal: Signal) => {
      // Whoever asks twice does not want to wait.
      if (told) process.exit(128 + constants.signals[signal])
      told = true
      stopFor(signal, servers, fiber, graceMillis)
    }

    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
    fiber.addObserver((exit) => {
      process.removeListener("SIGINT", onSignal)
      process.removeListener("SIGTERM", onSignal)
      if (told && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) process.exit(0)
      teardown(exit, (code) => {
        if (told || code !== 0) process.exit(code)
      })
    })
  })

const stopFor = <A, E>(
  signal: Signal,
  servers: ReadonlySet<Server>,
  fiber: Fiber.Fiber<A, E>,
  defaultGraceMillis: number
): void => {
  const graceMillis = servers.size === 0
    ? defaultGraceMillis
    : Math.max(...Array.from(servers, (server) => server.graceMillis))
  const log = Effect.runForkWith(fiber.context)
  // Shortly before the orchestrator would kill it, so that at least this can be said.
  setTimeout(() => {
    const grace = Duration.format(Duration.millis(graceMillis))
    const gaveUp = log(Effect.logError(`The shutdown was not done within ${grace}: what is left is abandoned`))
    gaveUp.addObserver(() => process.exit(1))
  }, Math.max(0, graceMillis - 500)).unref()
  // A person at a terminal is no load balancer that has to learn of it first.
  const shutDown = Effect.forEach([...servers], (server) => server.shutDown({ now: signal === "SIGINT" }), {
    concurrency: "unbounded",
    discard: true
  })
  log(Effect.andThen(Effect.logInfo(`Received ${signal}`), shutDown)).addObserver(() => fiber.interruptUnsafe(fiber.id))
}
