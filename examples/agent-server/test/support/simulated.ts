/** The simulated providers by themselves, without a server. */
import * as Effect from "effect/Effect"
import * as Faults from "../../src/sim/faults.ts"
import * as Simulator from "../../src/sim/Simulator.ts"

/** All of them, in the order in which they are written: of each kind the primary first. */
export const providers = [
  "llm-primary",
  "llm-secondary",
  "llm-anthropic",
  "stt-primary",
  "stt-backup",
  "tts-primary",
  "tts-backup"
] as const

/** A provider that is well, and answers at once. */
export const quick: Faults.Faults = { ...Faults.none, latency_ms: 0, jitter_ms: 0, chunk_ms: 0 }

/** Runs a test with simulated providers of its own. */
export const simulated = <A, E>(test: Effect.Effect<A, E, Simulator.Simulator>) =>
  Effect.provide(test, Simulator.layer({ seed: 1 }))
