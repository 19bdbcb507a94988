/** Every variable of the environment does something, or stops the start with a line that names it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { temporaryFolder } from "../support/server.ts"
import * as Clients from "./environment/clients.ts"
import * as Data from "./environment/data.ts"
import { type Effects, refusal } from "./environment/kit.ts"
import * as Providers from "./environment/providers.ts"
import * as Refusals from "./environment/refusals.ts"
import * as Traces from "./environment/traces.ts"

const effects: Effects = {
  ...Clients.effects,
  ...Providers.effects,
  ...Data.effects,
  ...Traces.effects,
  ...Refusals.effects
}

/** The names that README.md's tables of variables have, each in full. */
const documented = (): ReadonlyArray<string> => {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
  const tables = [...text.matchAll(/\| variable[^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)/g)].map(([, rows = ""]) => rows)
  return tables.join("").trimEnd().split("\n").flatMap((row) => {
    // Of a name that begins with `_` the beginning is that of the first one: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`.
    const names = [...(row.split(" | ")[0] ?? "").matchAll(/`([A-Z_*]+)`/g)].map(([, name = ""]) => name)
    const stem = (names[0] ?? "").replace(/_[A-Z]+$/, "")
    return names.map((name) => name.startsWith("_") ? stem + name : name)
  })
}

describe("the environment", () => {
  it.live(
    "stops the start with a line for each variable that makes no sense, all at once, and no secret in them",
    () =>
      Effect.gen(function*() {
        const lines = yield* refusal({ ...Refusals.nonsense, DATA_DIR: yield* temporaryFolder })
        const named = lines.map((line) => line.split(/[ :]/)[0])
        // The times of leaving are looked at together as well, with their defaults where they make no sense.
        expect([...new Set(named)].toSorted()).toEqual(Object.keys(Refusals.nonsense).toSorted())
      }).pipe(Effect.scoped),
    120_000
  )

  for (const [sentence, { row }] of Object.entries(effects)) {
    it.live(sentence, () => Effect.scoped(row), 120_000)
  }

  it("is the one that README.md tells of: each variable is refused or has an effect here", () => {
    const tried = new Set([
      ...Object.keys(Refusals.nonsense),
      ...Object.values(effects).flatMap(({ variables }) => variables)
    ])
    const untried = documented().flatMap((name) => {
      if (!name.includes("*")) return tried.has(name) ? [] : [name]
      const form = new RegExp(`^${name.replaceAll("*", "[A-Z_]+")}$`)
      return [...tried].some((each) => form.test(each)) ? [] : [name]
    })
    expect(documented().length).toBeGreaterThan(40)
    expect(untried).toEqual([])
  })
})
