/** The command line of dead letters, against a server that runs. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { begin, dlq, dlqAlone, dlqInTerminal } from "./support/cli.ts"
import { json } from "./support/client.ts"
import { admin, breakModels, failing, saidIn, statesOf } from "./support/letters.ts"
import { adminKey, type RunningServer, startFresh } from "./support/server.ts"
import { until } from "./support/until.ts"

const quiet = { LOG_LEVEL: "error" }

/** So many turns that failed, and models that are well again. */
const withLetters = Effect.fnUntraced(function*(count: number, mended: object = {}) {
  const server = yield* startFresh(quiet)
  yield* breakModels(server, { down: true })
  const dead = yield* Effect.forEach(
    Array.from({ length: count }, (_, index) => `trip ${index}`),
    (message) => failing(server, { message }),
    { concurrency: 4 }
  )
  yield* resetCircuits(server)
  yield* breakModels(server, { down: false, latency_ms: 5, jitter_ms: 5, ...mended })
  return { server, ids: dead.map(({ letterId }) => letterId), sessions: dead.map(({ sessionId }) => sessionId) }
})

const resetCircuits = (server: RunningServer) =>
  Effect.gen(function*() {
    const { circuit_breakers } = json(yield* admin(server, "/admin/circuit-breakers"))
    for (const { name } of circuit_breakers) yield* admin(server, `/admin/circuit-breakers/${name}/reset`, {})
  })

const lines = (text: string) => text.split("\n").filter((line) => line !== "")

describe("dlq", () => {
  it.live("lists, shows, reports and exports, for people and for programs", () =>
    Effect.gen(function*() {
      const { ids, server } = yield* withLetters(3)
      const id = ids[0] ?? ""
      const list = yield* dlq(server, "list", "--order", "oldest", "--limit", "2")
      expect(list.code).toBe(0)
      expect(lines(list.stdout)[0]).toMatch(/^ID +STATE +FAILED AT +KIND +MESSAGE$/)
      expect(lines(list.stdout).length).toBe(3)
      const cursor = /--cursor (\S+)/.exec(list.stderr)?.[1] ?? ""
      const rest = json({
        status: 0,
        headers: new Headers(),
        text: (yield* dlq(server, "list", "--json", "--cursor", cursor)).stdout
      })
      expect(rest.letters.length).toBe(1)

      const show = yield* dlq(server, "show", id)
      expect(show.stdout).toContain("\"message\": \"trip ")
      expect(show.stdout).toMatch(/^ {2}\S+ {2}Offered/m)
      expect(JSON.parse((yield* dlq(server, "show", id, "--json")).stdout).id).toBe(id)

      expect((yield* dlq(server, "report")).stdout).toMatch(/^3 letters, the oldest open one of 2\d{3}-/)
      expect(JSON.parse((yield* dlq(server, "report", "--json")).stdout).states.Dead).toBe(3)

      const exported = yield* dlq(server, "export", "--state", "Dead")
      expect(lines(exported.stdout).map((line) => JSON.parse(line).id).toSorted()).toEqual(ids.toSorted())
      expect(exported.stderr).toBe("3 letters\n")
      expect(lines((yield* dlq(server, "export", "--kind", "Critical")).stdout)).toEqual([])
    }).pipe(Effect.scoped), 120_000)

  it.live("redrives with progress, after a dry run that says the same number", () =>
    Effect.gen(function*() {
      const { ids, server, sessions } = yield* withLetters(4)
      const dry = yield* dlq(server, "redrive", "--all", "--dry-run")
      expect([dry.code, dry.stdout]).toEqual([0, "would be handed over: 4 due of 4\n"])
      const first = yield* dlq(server, "redrive", ids[0] ?? "", "--json")
      expect(lines(first.stdout).map((line) => JSON.parse(line).event)).toEqual(["start", "progress", "done"])
      const done = yield* dlq(server, "redrive", "--all", "--concurrency", "2")
      expect([done.code, done.stdout]).toEqual([0, "3 redriven of 3\n"])
      // Nobody looks on: plain lines, none of them drawn over.
      expect(done.stderr).toBe("redriving 1/3  1 redriven\nredriving 2/3  2 redriven\nredriving 3/3  3 redriven\n")
      for (const session of sessions) expect((yield* saidIn(server, session)).length).toBe(2)
      const again = yield* dlq(server, "redrive", ids[0] ?? "")
      expect([again.code, again.stdout]).toEqual([1, "1 skipped of 1\n"])
    }).pipe(Effect.scoped), 120_000)

  it.live("draws a bar in a terminal, that fits into it", () =>
    Effect.gen(function*() {
      const { server } = yield* withLetters(5)
      const { code, stdout } = yield* dlqInTerminal(server, "redrive", "--all")
      expect(code).toBe(0)
      const drawn = stdout.split("\r\u001b[2K").slice(1)
      expect(drawn.length).toBe(5)
      expect(drawn[0]).toMatch(/^redriving \[#+\.+\] 1\/5 {2}1 redriven$/)
      expect(drawn.at(-1)).toMatch(/^redriving \[#+\] 5\/5 {2}5 redriven\r\n5 redriven of 5\r\n$/)
      for (const line of drawn) expect((line.split("\r\n")[0] ?? "").length).toBeLessThan(80)
    }).pipe(Effect.scoped), 120_000)

  it.live(
    "stopped by Ctrl-C leaves each letter done or as it was, and goes on when told again",
    () =>
      Effect.gen(function*() {
        const { server, sessions } = yield* withLetters(12, { latency_ms: 250 })
        const running = begin(server, "redrive", "--all", "--concurrency", "2")
        yield* Eventually.met(() => running.stderr().includes("redriving 3/12"))
        running.interrupt()
        const { code, stderr } = yield* Effect.promise(() => running.ended)
        expect(code).toBe(130)
        expect(stderr).toMatch(/Stopped after \d+ of 12\. The others are as they were; redrive again to go on\./)
        const states = yield* until(statesOf(server), (all) => !Object.values(all).includes("Redriving"))
        const archived = Object.values(states).filter((state) => state === "Archived").length
        expect(archived).toBeGreaterThanOrEqual(3)
        expect(archived).toBeLessThan(12)
        expect(Object.values(states).filter((state) => state === "Dead").length).toBe(12 - archived)
        expect((yield* dlq(server, "redrive", "--all", "--concurrency", "4")).stdout).toBe(
          `${12 - archived} redriven of ${12 - archived}\n`
        )
        for (const session of sessions) expect((yield* saidIn(server, session)).length).toBe(2)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("discards with a reason, and says which it could not", () =>
    Effect.gen(function*() {
      const { ids, server } = yield* withLetters(2)
      const [one = "", other = ""] = ids
      const discarded = yield* dlq(server, "discard", one, "--reason", "a test")
      expect([discarded.code, discarded.stdout]).toEqual([0, `${one} Discarded\n`])
      const both = yield* dlq(server, "discard", one, other, "nobody", "--reason", "a test", "--json")
      expect(both.code).toBe(1)
      expect(lines(both.stdout).map((line) => JSON.parse(line).id)).toEqual([other])
      expect(lines(both.stderr)).toEqual([
        `${one}: The letter is Discarded; only dead and quarantined ones can be discarded.`,
        expect.stringContaining("nobody: There is no letter of this id")
      ])
      expect(Object.values(yield* statesOf(server))).toEqual(["Discarded", "Discarded"])
    }).pipe(Effect.scoped), 120_000)

  it.live("says in a sentence why the server cannot be asked, and exits with 1", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      const at = ["--url", server.origin]
      const said = (came: { readonly code: number | null; readonly stderr: string }) => [came.code, came.stderr]
      expect(said(yield* dlqAlone(["list", ...at]))).toEqual([
        1,
        `The server at ${server.origin} asks for its admin key: set ADMIN_KEY, or give it with --admin-key.\n`
      ])
      const wrong = yield* dlqAlone(["list", ...at, "--admin-key", "guess-4711"])
      expect(said(wrong)).toEqual([
        1,
        `The server at ${server.origin} does not know this admin key. Is it the one in the server's ADMIN_KEY?\n`
      ])
      expect((yield* dlqAlone(["list", "--admin-key", adminKey, ...at])).code).toBe(0)
      expect(said(yield* dlqAlone(["report", "--url", "http://127.0.0.1:1"], { ADMIN_KEY: adminKey }))).toEqual([
        1,
        "There is no answer from http://127.0.0.1:1 (ECONNREFUSED). Is the server running? --url says where it is.\n"
      ])
      const elsewhere = yield* dlq({ ...server, origin: `${server.origin}/docs` }, "report")
      expect(said(elsewhere)).toEqual([1, expect.stringContaining("is no agent server of this version")])
      expect(said(yield* dlq(server, "show", "nobody"))).toEqual([
        1,
        "There is no letter of this id: it never was, or it was evicted.\n"
      ])
    }).pipe(Effect.scoped), 120_000)

  it.live("exits with 2 where the command makes no sense, without asking the server", () =>
    Effect.gen(function*() {
      for (
        const args of [
          ["nonsense"],
          ["list", "--state", "Nope"],
          ["list", "--limit", "0"],
          ["list", "--older-than", "nonsense"],
          ["show"],
          ["redrive"],
          ["redrive", "one", "--all"],
          ["redrive", "--all", "--rate", "-1"],
          ["discard", "--reason", "none"],
          ["discard", "one"]
        ]
      ) {
        const { code, stderr } = yield* dlqAlone([...args, "--url", "http://127.0.0.1:1"])
        expect([args, code]).toEqual([args, 2])
        expect(stderr).not.toBe("")
      }
      expect((yield* dlqAlone(["redrive", "--help"])).code).toBe(0)
    }), 120_000)
})
