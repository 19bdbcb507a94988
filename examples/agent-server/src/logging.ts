/**
 * The server's log, on standard output, one line for each event; in the file of `LOG_FILE` as well.
 *
 * Each line has the ids of its request and its trace, a category and what else is known, and no secrets, prompts or session ids:
 * `effect-resilience`'s `Logging` says what is what. DEBUG and TRACE are written for a share of the traces, WARN and above always.
 */
import * as Logging from "effect-resilience/Logging"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as LogFile from "./telemetry/logFile.ts"
import { textOf } from "./telemetry/logLine.ts"

/** How the log is written. */
export type Format = "text" | "json"

/** What the environment says of the log. */
export interface Options {
  readonly logFormat: Format
  readonly logLevel: LogLevel.LogLevel
  /** The share of traces whose lines of DEBUG and TRACE are written, from 0 to 1. */
  readonly logDebugShare: number
  readonly logFile: string | undefined
  readonly logFileBytes: number
}

/** How many files are kept beside the one that is written. */
const keep = 5

/** Writes the log of the program in this form, from this level on. */
export const layer = (options: Options): Layer.Layer<never, never, FileSystem.FileSystem> =>
  Layer.unwrap(Effect.map(writer(options), (write) =>
    Layer.merge(
      Logging.layerJson({
        service: "agent-server",
        version: "0.1.0",
        sample: options.logDebugShare,
        write: options.logFormat === "json" ? write : (lines) => write(textOf(lines))
      }),
      Layer.succeed(References.MinimumLogLevel, options.logLevel)
    )))

/** To standard output first: a disk that is full takes nothing from there. */
const writer = (options: Options) =>
  Effect.gen(function*() {
    if (options.logFile === undefined) return toStandardOutput
    const append = yield* LogFile.make(options.logFile, { bytes: options.logFileBytes, keep })
    return (lines: string) => Effect.andThen(toStandardOutput(lines), append(lines))
  })

/** Waits for a reader that is slow; lines then wait in the log's own queue, which is bounded. */
const toStandardOutput = (lines: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (process.stdout.destroyed) return resume(Effect.void)
    process.stdout.write(lines, () => resume(Effect.void))
  })
