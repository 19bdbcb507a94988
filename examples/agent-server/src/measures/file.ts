/** The file that measured turns are kept in. */
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { because, type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import { makeDirectories, whyNot } from "../startup/directories.ts"

/** Keeps measurements in `METRICS_SAVE_PATH`, below the data directory where it is relative, and goes on from what is there. */
export const layer = (
  { dataDir, metricsPath }: { readonly dataDir: string; readonly metricsPath: string }
): Layer.Layer<SessionMetrics.SessionMetrics, CannotStart, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.gen(function*() {
    const paths = yield* Path.Path
    const path = paths.resolve(dataDir, metricsPath)
    yield* Effect.mapError(
      makeDirectories(paths.dirname(path)),
      (error) => because(`METRICS_SAVE_PATH: cannot make the directory of ${JSON.stringify(path)} (${whyNot(error)})`)
    )
    return orCannotStart(
      SessionMetrics.layer({ path, stages: ["asr", "llm", "llm_ttft", "tts", "tts_ttfb", "e2e"] }),
      (error) => `METRICS_SAVE_PATH: cannot read ${JSON.stringify(path)} (${whyNot(error)})`
    )
  }))
