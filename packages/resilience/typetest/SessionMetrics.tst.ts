import * as SessionMetrics from "effect-resilience/SessionMetrics"
import type * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

declare const session: SessionMetrics.Session
declare const call: Effect.Effect<string, "failed", "service">

describe("SessionMetrics.layer", () => {
  test("needs a file system, and may fail, with a path only", () => {
    expect(SessionMetrics.layer()).type.toBe<Layer.Layer<SessionMetrics.SessionMetrics>>()
    expect(SessionMetrics.layer({ window: 5 })).type.toBe<Layer.Layer<SessionMetrics.SessionMetrics>>()
    expect(SessionMetrics.layer({ path: "sessions.jsonl" })).type.toBe<
      Layer.Layer<SessionMetrics.SessionMetrics, PlatformError, FileSystem.FileSystem>
    >()
    expect(SessionMetrics.layer).type.not.toBeCallableWith({ targets: { nlu: 5 } })
    expect(SessionMetrics.layer).type.not.toBeCallableWith({ stages: ["nlu"] })
  })
})

describe("a session", () => {
  test("has a scope", () => {
    expect(SessionMetrics.start("a")).type.toBe<
      Effect.Effect<SessionMetrics.Session, never, SessionMetrics.SessionMetrics | Scope.Scope>
    >()
  })

  test("leaves the types of what it measures as they are", () => {
    expect(session.stage("llm")(call)).type.toBe<typeof call>()
    expect(call.pipe(session.stage("asr"))).type.toBe<typeof call>()
    expect(session.stage).type.not.toBeCallableWith("nlu")
    expect(session.count).type.not.toBeCallableWith("e2e", 1)
  })
})
