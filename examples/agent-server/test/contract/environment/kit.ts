/** What the variables of the environment do: rows that start servers of their own. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { runToEnd } from "../../support/server.ts"
import { askOf } from "../ask.ts"
import { operator } from "../kit.ts"

/** What some variables do together: a sentence, the variables, and what shows that it is so. */
export interface Effects {
  readonly [sentence: string]: {
    readonly variables: ReadonlyArray<string>
    readonly row: Effect.Effect<void, unknown, Scope.Scope>
  }
}

/** The lines of a start that was refused. */
export const refusal = (environment: Readonly<Record<string, string>>) =>
  Effect.map(runToEnd(environment), ({ code, stderr, stdout }) => {
    expect([code, stdout.includes("is up")]).toEqual([1, false])
    expect(stdout + stderr).not.toContain("hunter2")
    return stderr.trimEnd().split("\n").map((line) => {
      expect(line).toMatch(/^agent-server cannot start: [A-Z]/)
      return line.replace("agent-server cannot start: ", "")
    })
  })

/** Says something to an agent, with the operator's key unless there is another. */
export const chatOf = (server: Parameters<typeof askOf>[0], headers = {}, message = "How late is it?") =>
  askOf(server, "POST /v1/agents/travel_planner/chat", { body: { message }, headers: { ...operator, ...headers } })
