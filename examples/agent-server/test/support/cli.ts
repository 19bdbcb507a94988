/** `dlq` as its users have it: a process of its own. */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bareEnvironment } from "../../src/storm/instance.ts"
import { adminKey, type RunningServer } from "./server.ts"

const main = fileURLToPath(new URL("../../src/cli/dlq.ts", import.meta.url))

const stormMain = fileURLToPath(new URL("../../src/storm/main.ts", import.meta.url))

/** What a command came to. */
export interface Came {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs. */
export interface Running {
  readonly ended: Promise<Came>
  readonly stderr: () => string
  readonly interrupt: () => void
}

const run = (command: string, args: ReadonlyArray<string>, environment: Readonly<Record<string, string>>): Running => {
  const child = spawn(command, args, {
    env: { ...bareEnvironment(), TERM: "xterm", ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  return {
    ended: new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr }))),
    stderr: () => stderr,
    interrupt: () => child.kill("SIGINT")
  }
}

/** A command for this server, with the key of its environment. */
export const begin = (server: RunningServer, ...args: ReadonlyArray<string>): Running =>
  run(process.execPath, [main, ...args, "--url", server.origin], { ADMIN_KEY: adminKey })

/** Runs it to its end. */
export const dlq = (server: RunningServer, ...args: ReadonlyArray<string>): Effect.Effect<Came> =>
  Effect.promise(() => begin(server, ...args).ended)

/** Runs it with nothing but these arguments and variables. */
export const dlqAlone = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Came> => Effect.promise(() => run(process.execPath, [main, ...args], environment).ended)

/** Runs the storm with nothing but these arguments and variables. */
export const storm = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Came> => Effect.promise(() => run(process.execPath, [stormMain, ...args], environment).ended)

/** Runs it in a terminal: both of its outputs are in `stdout`. */
export const dlqInTerminal = (server: RunningServer, ...args: ReadonlyArray<string>): Effect.Effect<Came> =>
  Effect.promise(() => {
    const quoted = [process.execPath, main, ...args, "--url", server.origin].map((arg) => `'${arg}'`).join(" ")
    return run("script", ["-qec", `stty cols 80; ${quoted}`, "/dev/null"], { ADMIN_KEY: adminKey }).ended
  })
