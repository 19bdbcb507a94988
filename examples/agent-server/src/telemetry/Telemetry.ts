/** What the server tells of itself: metrics, traces and a log. Everything else runs above it. */
import * as Logging from "effect-resilience/Logging"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "../config.ts"
import * as Log from "../logging.ts"
import * as Measured from "./measured.ts"
import * as Traces from "./traces.ts"

/** Listens to the policies, measures the process, samples and exports traces, and writes the log. */
export const layer = Layer.unwrap(Effect.map(Settings, (settings) => {
  const observers = Layer.mergeAll(Measured.layer(settings), Traces.layer, Logging.layerSignals)
  return Layer.provideMerge(observers, Log.layer(settings))
}))
