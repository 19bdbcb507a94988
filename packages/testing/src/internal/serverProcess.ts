/**
 * A server program as a child that never outlives this process.
 *
 * It runs under a shell that waits for its own standard input to end. That is a pipe from here, so it ends however this
 * process does, and then the shell kills the server. `effect/process` has neither signals that pause a process nor this.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"

/** A server did not come up, or could not be found. `output` is the end of what it said. */
export class ServerStartFailed extends Data.TaggedError("ServerStartFailed")<{
  readonly program: string
  readonly reason: string
  readonly output: string
}> {
  override get message(): string {
    return `${this.program} did not start: ${this.reason}${this.output === "" ? "" : `\n${this.output}`}`
  }
}

export interface ServerProcess {
  readonly pid: number
  /** Sends a signal to the server itself. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Ends when the server has ended. */
  readonly ended: Effect.Effect<void>
  /** The end of what it printed. */
  readonly output: () => string
}

/** The first line is the pid: whoever becomes the server says it before, so that nothing the server says comes first. */
const announced = `sh -c 'echo "$$"; exec "$0" "$@"'`

/** A command in the background would read from /dev/null: descriptor 3 keeps the pipe for the one that must see its end. */
const supervisor =
  `exec 3<&0; ${announced} "$0" "$@" 3<&- & child=$!; (cat <&3 >/dev/null; kill -9 $child 2>/dev/null) & wait $child; exit 0`

/** Starts a program; it is killed when the scope closes. */
export const start = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string }
): Effect.Effect<ServerProcess, ServerStartFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(spawned(program, args, options), ({ process }) =>
      Effect.andThen(kill(process, "SIGKILL"), process.ended)),
    ({ process }) =>
      process
  )

const spawned = (program: string, args: ReadonlyArray<string>, options: { readonly cwd: string }) =>
  Effect.callback<{ readonly process: ServerProcess }, ServerStartFailed>((resume) => {
    const shell = spawn("sh", ["-c", supervisor, program, ...args], {
      cwd: options.cwd,
      stdio: ["pipe", "pipe", "pipe"]
    })
    const failed = (reason: string) => resume(Effect.fail(new ServerStartFailed({ program, reason, output: tail() })))
    let output = ""
    const tail = () => output.slice(-2_000)
    const append = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-10_000)
    }
    shell.stderr.on("data", append)
    let pid = ""
    const onFirst = (chunk: Buffer) => {
      pid += chunk.toString("utf8")
      const end = pid.indexOf("\n")
      if (end === -1) return
      shell.stdout.off("data", onFirst)
      shell.stdout.on("data", append)
      append(Buffer.from(pid.slice(end + 1)))
      resume(Effect.succeed({ process: handle(shell, Number(pid.slice(0, end)), tail) }))
    }
    shell.stdout.on("data", onFirst)
    shell.on("error", (error) => failed(error.message))
  })

const handle = (shell: ChildProcess, pid: number, output: () => string): ServerProcess => {
  const ended = Effect.callback<void>((resume) => {
    if (shell.exitCode !== null || shell.signalCode !== null) return resume(Effect.void)
    shell.once("exit", () => resume(Effect.void))
  })
  // A shell whose server has ended has nothing to wait for; closing its input lets its watcher go, too.
  shell.once("exit", () => shell.stdin?.destroy())
  const process: ServerProcess = { pid, ended, output, signal: (signal) => kill({ pid }, signal) }
  return process
}

/** A process that is gone already is as good as killed. */
const kill = ({ pid }: { readonly pid: number }, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
    }
  })
