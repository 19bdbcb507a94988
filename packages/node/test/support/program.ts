/** `shutdownMain.ts` as a process of its own. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("shutdownMain.ts", import.meta.url))

/** How a process ended, and all that it had said. */
interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

export interface Program {
  readonly kill: (signal: "SIGTERM" | "SIGINT" | "SIGKILL") => void
  /** Waits for a line, and gives what stands behind it. */
  readonly says: (start: string) => Promise<string>
  readonly ended: Promise<Ended>
}

export const startProgram = (environment: Readonly<Record<string, string>> = {}): Effect.Effect<
  Program,
  never,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [main], {
        env: {
          PATH: process.env["PATH"] ?? "",
          HOME: tmpdir(),
          NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "",
          PRE_STOP_DELAY: "0 seconds",
          DRAIN_TIMEOUT: "20 seconds",
          GRACE: "30 seconds",
          ...environment
        },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      const looks = new Set<() => void>()
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text
          for (const look of looks) look()
        })
      }
      const ended = new Promise<Ended>((resolve) =>
        child.on("close", (code, signal) => resolve({ code, signal, output }))
      )
      const says = (start: string) =>
        new Promise<string>((resolve, reject) => {
          const look = () => {
            const line = output.split("\n").slice(0, -1).find((line) => line.startsWith(start))
            if (line === undefined) return
            looks.delete(look)
            resolve(line.slice(start.length))
          }
          looks.add(look)
          look()
          void ended.then(({ output }) => reject(new Error(`it ended without "${start}": ${output}`)))
        })
      return { kill: (signal: "SIGTERM" | "SIGINT" | "SIGKILL") => void child.kill(signal), says, ended }
    }),
    ({ ended, kill }) =>
      Effect.promise(() => {
        kill("SIGKILL")
        return ended
      })
  )
