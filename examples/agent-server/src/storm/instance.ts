/** The server as a process of its own, for whoever drives it from outside. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../main.ts", import.meta.url))

/** What a process is told. */
export type Environment = Readonly<Record<string, string>>

/** How a process ended, and what it had said. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process that may not be up yet. */
export interface Launched {
  readonly child: ChildProcess
  readonly said: { stdout: string; stderr: string }
  readonly ended: Promise<Ended>
}

/** What a process needs to run at all, and, where this process knows one, the folder of what Node has compiled before. */
export const bareEnvironment = (): Environment => ({
  PATH: process.env["PATH"] ?? "",
  HOME: tmpdir(),
  ...(process.env["NODE_COMPILE_CACHE"] === undefined ? {} : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] })
})

/** Starts the server with nothing else of this process's own environment than that. */
export const launch = (environment: Environment): Launched => {
  const child = spawn(process.execPath, [main], {
    env: { ...bareEnvironment(), ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const said = { stdout: "", stderr: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => said.stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => said.stderr += text)
  const ended = new Promise<Ended>((resolve) => child.on("close", (code, signal) => resolve({ code, signal, ...said })))
  return { child, said, ended }
}

/** Waits until the server has said where it is. */
export const untilUp = ({ child, ended, said }: Launched): Promise<string> =>
  new Promise((resolve, reject) => {
    const look = () => {
      const origin = /agent-server is up at (\S+)/.exec(said.stdout)?.[1]
      if (origin !== undefined) resolve(origin)
    }
    child.stdout?.on("data", look)
    void ended.then((end) => reject(new Error(`the server ended: ${end.stdout}${end.stderr}`)))
  })

/** An instance did not come up. */
export class InstanceFailed extends Data.TaggedError("InstanceFailed")<{ readonly message: string }> {}

/** An instance that runs. */
export interface Instance {
  readonly origin: string
  /** Sends a signal and waits for the end. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<Ended>
}

/** An instance until the scope closes. */
export const start = (environment: Environment): Effect.Effect<Instance, InstanceFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const launched = yield* Effect.acquireRelease(
      Effect.sync(() => launch(environment)),
      ({ child, ended }) => Effect.promise(() => (child.kill("SIGKILL"), ended))
    )
    const origin = yield* Effect.tryPromise({
      try: () => untilUp(launched),
      catch: (error) => new InstanceFailed({ message: error instanceof Error ? error.message : String(error) })
    })
    return {
      origin,
      stop: (signal) => Effect.promise(() => (launched.child.kill(signal), launched.ended))
    }
  })
