/** The sections of the contract, as tests about a subject. */
import type { Vitest } from "@effect/vitest"
import { describe } from "@effect/vitest"
import type { Section, Subject } from "./kit.ts"
import { agentsAndSessions, chat } from "./rows/chat.ts"
import { console } from "./rows/console.ts"
import { simulated } from "./rows/faults.ts"
import { monitoring, probes } from "./rows/health.ts"
import { life } from "./rows/life.ts"
import { limits } from "./rows/limits.ts"
import { circuits, deadLetters, profiles } from "./rows/operator.ts"
import { policies } from "./rows/policies.ts"
import { problems } from "./rows/problems.ts"
import { surface } from "./rows/surface.ts"
import { voice } from "./rows/voice.ts"

const sections: Readonly<Record<string, Section>> = {
  "probes": probes,
  "POST /v1/agents/{agent}/chat": chat,
  "agents and sessions": agentsAndSessions,
  "POST /v1/speech_to_speech": voice,
  "/api/v1/monitoring": monitoring,
  "/admin: circuits and chains": circuits,
  "/admin/dlq": deadLetters,
  "/admin/profile": profiles,
  "/admin/policies": policies,
  "/sim": simulated,
  "limits": limits,
  "the console": console,
  "paths and pages": surface,
  "coming and going": life,
  // Its last row looks back at all of them.
  "problems": problems
}

/** A test for each row, told to the same server. A row has two minutes: other programs want the machine too. */
export const tests = (it: Vitest.MethodsNonLive<Subject>): void => {
  for (const [name, section] of Object.entries(sections)) {
    describe(name, () => {
      for (const [sentence, row] of Object.entries(section)) it.effect(sentence, () => row, 120_000)
    })
  }
}
