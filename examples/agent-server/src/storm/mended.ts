/** All simulated providers as they are when nothing is wrong with them. */
import { none } from "../sim/faults.ts"
import type { AllFaultsPatch } from "../sim/Simulator.ts"

/** What mends them. */
export const mended: AllFaultsPatch = {
  "llm-primary": none,
  "llm-secondary": none,
  "llm-anthropic": none,
  "stt-primary": none,
  "stt-backup": none,
  "tts-primary": none,
  "tts-backup": none
}
