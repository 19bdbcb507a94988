/** What can be wrong with the document of policies, and what becomes of one that is right. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Policies } from "../../src/policies.ts"
import * as defaults from "../support/policies.ts"
import { changed } from "../support/policies.ts"

/** What can be wrong with a document, and the path under which it is told. */
const mistakes: ReadonlyArray<readonly [what: string, text: string, path: string]> = [
  ["an option that there is not", changed(["haltFor: 10", "holdFor: 10"]), "chain.holdFor"],
  ["no number", changed(["perIp: 60", "perIp: .nan"]), "limits.perIp"],
  ["a negative time", changed(["interval: 30 seconds", "interval: -30 seconds"]), "health.interval"],
  [
    "a route that is there twice",
    changed(["[llm-primary, llm-secondary", "[llm-primary, llm-primary"]),
    "chain.routes[1]"
  ],
  ["a route that there is not", changed(["routes: [llm-primary", "routes: [llm-tertiary"]), "chain.routes[0]"],
  ["a chain without routes", changed(["[llm-primary, llm-secondary, llm-anthropic]", "[]"]), "chain.routes[0]"],
  [
    "policies that fall back on themselves",
    changed(
      ["  llm-primary:\n", "  llm-primary:\n    fallback: { routes: [llm-secondary] }\n"],
      ["  llm-secondary:\n", "  llm-secondary:\n    fallback: { routes: [llm-primary] }\n"]
    ),
    "policies.llm-primary.fallback.routes[0]"
  ],
  ["a provider that there is not", changed(["  llm-anthropic:\n", "  llm-mistral:\n"]), "policies.llm-mistral"],
  ["a provider without a policy", changed(["  llm-anthropic:\n", "  llm-mistral:\n"]), "policies.llm-anthropic"],
  [
    "a part that providers do not have",
    changed(["  stt-primary:\n", "  stt-primary:\n    deadline: 5 seconds\n"]),
    "policies.stt-primary.deadline"
  ],
  [
    "a part that a provider needs",
    changed(["    bulkhead: { limit: 512, queue: 4096, maxWait: 2 seconds }\n", ""]),
    "policies.llm-primary.bulkhead"
  ],
  [
    "options that do not go together",
    changed(["maxOpenFor: 5 minutes", "maxOpenFor: 5 minutes\n      inFlight: { maxWhileUnhealthy: 0 }"]),
    "policies.llm-primary.breaker.inFlight.maxWhileUnhealthy"
  ],
  [
    "an expression that is none",
    changed(["match: '^\\s*(?:thanks", "match: '^\\s*((?:thanks"]),
    "replies.patterns[1].match"
  ],
  ["a share above one", changed(["models: 0.9,", "models: 1.9,"]), "turns.deadlines.models"],
  ["an attempt longer than the turn", changed(["attempt: 0.28", "attempt: 0.95"]), "turns.deadlines.attempt"],
  ["a section that is missing", changed(["letters:\n", "lettres:\n"]), "letters"],
  ["a key that is there twice", changed(["  perAgent: 60000\n", "  perAgent: 60000\n  perAgent: 6\n"]), ""],
  ["half of a document", defaults.text.slice(0, 2_800), "turns"],
  ["nothing", "", ""],
  ["a list", "- 1\n", ""],
  ["what is no YAML", "{{{{", ""]
]

describe("a document", () => {
  for (const [what, text, path] of mistakes) {
    it.effect(`with ${what} is refused, and what is in force stays`, () =>
      Effect.gen(function*() {
        const policies = yield* Policies
        let told = 0
        yield* policies.whenever(() => Effect.sync(() => told++))
        const refused = yield* Effect.result(policies.replace(text))
        const problems = Result.isFailure(refused) ? refused.failure.problems : []
        expect(problems.map((problem) => problem.path)).toContain(path)
        const { refused: known, text: inForce, version } = yield* policies.current
        expect([version, inForce, told, known?.problems]).toEqual([1, defaults.text, 1, problems])
      }).pipe(Effect.scoped, Effect.provide(defaults.layer)))
  }

  it.effect("with many mistakes is told all of them at once", () =>
    Effect.gen(function*() {
      const policies = yield* Policies
      const text = changed(["perIp: 60", "perIp: 0"], ["failures: 5", "failures: half"], ["rate: 2,", "rat: 2,"])
      const { problems } = yield* Effect.flip(policies.replace(text))
      const paths = problems.map(({ path }) => path)
      for (const path of ["limits.perIp", "letters.autoRedrive.rat", "letters.autoRedrive.rate"]) {
        expect(paths).toContain(path)
      }
      expect(paths.some((path) => path.startsWith("policies.llm-primary.breaker.trip"))).toBe(true)
    }).pipe(Effect.provide(defaults.layer)))

  it.effect("that is right is in force for whoever holds something made from it, and clears what was refused", () =>
    Effect.gen(function*() {
      const policies = yield* Policies
      const seen: Array<number> = []
      yield* policies.whenever(({ turns }) => Effect.sync(() => seen.push(turns.waiting)))
      yield* Effect.scoped(policies.whenever(() => Effect.sync(() => seen.push(-1))))
      yield* Effect.flip(policies.replace(""))
      yield* policies.replace(changed(["waiting: 8", "waiting: 3"]), { source: "a test" })
      expect(seen).toEqual([8, -1, 3])
      const { refused, source, version } = yield* policies.current
      expect([refused, source, version]).toEqual([undefined, "a test", 2])
      expect((yield* policies.now).turns.waiting).toBe(3)
    }).pipe(Effect.scoped, Effect.provide(defaults.layer)))

  it.effect("does not win over the environment", () =>
    Effect.gen(function*() {
      const { limits, chain } = yield* Effect.flatMap(Policies, ({ now }) => now)
      expect([limits.providers["llm-primary"].usdPerDay, chain.budget.limit]).toEqual([3, 3])
      expect(limits.providers["llm-primary"].requestsPerMinute).toBe(1e6)
    }).pipe(Effect.provide(defaults.layerWith({ usdPerDay: 3 }))))

  it.effect("that allows what is probably not meant says so", () =>
    Effect.gen(function*() {
      const policies = yield* Policies
      expect(yield* policies.lint).toEqual([])
      yield* policies.replace(changed(
        ["attempt: 0.28", "attempt: 0.5"],
        ["llm-secondary, llm-anthropic]", "llm-secondary]"],
        ["timeout: 3 seconds", "timeout: 40 seconds"]
      ))
      expect((yield* policies.lint).map(({ at, code }) => `${code} ${at}`)).toEqual([
        "NoTimeForLastRoute turns.deadlines.attempt",
        "RouteLeftOut chain.routes",
        "CheckOutlivesInterval health.timeout"
      ])
    }).pipe(Effect.provide(defaults.layer)))
})
