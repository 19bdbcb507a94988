/** The server in a storm: two instances, one Redis, one PostgreSQL, and providers that fail. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Plan from "../src/storm/plan.ts"
import * as Storm from "../src/storm/storm.ts"
import * as World from "../src/storm/world.ts"
import { storm } from "./support/cli.ts"
import { adminKey, startFresh, temporaryFolder, unlimitedKey } from "./support/server.ts"

const instances = 2

/** Each seed is another storm of most of a minute. `STORM_SEEDS=4,5,6` for others. */
const seeds = (process.env["STORM_SEEDS"] ?? "1,2,3").split(",").map(Number)

const weather = (seed: number) =>
  Effect.gen(function*() {
    const world = yield* World.local({ seed, instances })
    const plan = Plan.make({ seed, chats: 1_000, outageSeconds: 3, instances })
    return yield* Storm.run(world, plan, { concurrency: 16, onProgress: () => Effect.void })
  }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))

RealServer.describe("redis-server", "FB-9 in a storm of 1,000 chats", () => {
  for (const seed of seeds) {
    it.live(`users see next to nothing of it, and nothing is lost (seed ${seed})`, () =>
      Effect.gen(function*() {
        const { rows } = yield* weather(seed)
        // All rows, so that a failure shows the storm.
        expect(rows.map(({ figure, name, standing }) => ({ name, figure, standing })))
          .toEqual(rows.map(({ figure, name, standing }) => ({
            name,
            figure,
            standing: standing === "Told" ? "Told" : "Reached"
          })))
      }), 180_000)
  }
})

const small = ["--chats", "100", "--outage", "1", "--concurrency", "16"]

describe("the command", () => {
  it.live(
    "drives a server that runs already, restarts nothing, mends its providers, and writes down what it saw",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "8" })
        const report = join(yield* temporaryFolder, "storm.md")
        const came = yield* storm(
          [...small, "--url", server.origin, "--api-key", unlimitedKey, "--json", "--report", report],
          { ADMIN_KEY: adminKey }
        )
        expect(came.stderr).toContain("storm 120/120  chats")
        // One line, which programs can read.
        const { passed, rows } = JSON.parse(came.stdout)
        expect(came.code).toBe(passed === true ? 0 : 1)
        const standing = (name: string) => rows.find((row: { readonly name: string }) => row.name === name)?.standing
        expect([standing("Redis restart"), standing("rolling restart")]).toEqual(["NotRun", "NotRun"])
        expect(standing("acknowledged turns stored exactly once")).toBe("Reached")
        expect(standing("letters redriven")).toBe("Reached")

        const page = readFileSync(report, "utf8")
        expect(page).toContain(
          "Written by `pnpm --filter agent-server storm --seed 1 --chats 100 --concurrency 16 --outage 1"
        )
        expect(page).toContain(`All figures reached: **${passed === true ? "yes" : "no"}**`)
        expect(came.stdout + page).not.toContain(adminKey)

        const faults = yield* Effect.promise(() =>
          fetch(`${server.origin}/sim/faults`, { headers: { "x-api-key": adminKey } }).then((reply) => reply.json())
        )
        expect(faults).toMatchObject({
          "llm-primary": { error_rate: 0, hang: false, down: false },
          "llm-anthropic": { error_rate: 0, rate_limit_rate: 0, down: false },
          "tts-primary": { error_rate: 0 }
        })
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("exits with 1 where too much was missed", () =>
    Effect.gen(function*() {
      // No model answers within 28 % of a tenth of a second, when it takes 20 milliseconds and more at the best of times.
      const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "0.1" })
      const came = yield* storm([...small, "--url", server.origin, "--admin-key", adminKey, "--api-key", unlimitedKey])
      expect([came.code, came.stdout]).toEqual([1, expect.stringMatching(/dead-lettered .* MISSED/)])
    }).pipe(Effect.scoped), 120_000)

  it.live("says what is wrong with how it was given, and where nobody answers", () =>
    Effect.gen(function*() {
      expect((yield* storm(["--chats", "many"])).code).toBe(2)
      expect((yield* storm(["--chats", "1"])).code).toBe(2)
      const keyless = yield* storm(["--url", "http://127.0.0.1:1"])
      expect([keyless.code, keyless.stderr]).toEqual([2, expect.stringContaining("ADMIN_KEY")])
      const nobody = yield* storm(["--url", "http://127.0.0.1:1", "--admin-key", "some-key"])
      expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("The storm cannot be carried out")])
      expect(nobody.stderr).not.toContain("some-key")
    }), 60_000)
})
