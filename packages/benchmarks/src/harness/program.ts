/** Programs that are measured from outside: processes of their own, each with a folder for its data and its log. */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

/** How a program is started. */
export interface Options {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** All that it knows of its environment besides `PATH`, and `DATA_DIR`, which is its folder. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where its folder is made. Default: where temporary files are. */
  readonly parent?: string | undefined
  /** It is up when it has written something that matches each of these. */
  readonly says: ReadonlyArray<RegExp>
}

/** A program that runs. */
export interface Program {
  readonly child: ChildProcess
  /** What the first group of each pattern was. */
  readonly said: ReadonlyArray<string>
  /** Ends it, with its folder. One that does not end by itself within 15 seconds is killed. */
  readonly stop: () => Promise<void>
}

/** Starts a program, and waits half a minute at most until it is up. */
export const start = async ({ args, command, env, parent = tmpdir(), says }: Options): Promise<Program> => {
  const folder = mkdtempSync(join(parent, "benchmark-"))
  const logFile = join(folder, "log")
  const log = openSync(logFile, "w")
  const child = spawn(command, args, {
    env: { PATH: process.env["PATH"], ...env, DATA_DIR: folder },
    stdio: ["ignore", log, log]
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const stop = async () => {
    child.kill("SIGTERM")
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000)
    await ended
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
  for (let waited = 0; waited < 30_000; waited += 50) {
    const text = readFileSync(logFile, "utf8")
    const said = says.flatMap((pattern) => pattern.exec(text)?.[1] ?? [])
    if (said.length === says.length) return { child, said, stop }
    if (child.exitCode !== null) break
    await sleep(50)
  }
  const text = readFileSync(logFile, "utf8")
  await stop()
  throw new Error(`${command} ${args.join(" ")} did not start: ${text}`)
}
