/** `storm`: its flags, and what it does. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { arch, cpus, platform } from "node:os"
import { Output } from "../cli/Output.ts"
import { Usage } from "../cli/runMain.ts"
import * as Plan from "./plan.ts"
import * as render from "./render.ts"
import * as Storm from "./storm.ts"
import type { Verdict } from "./verdict.ts"
import * as World from "./world.ts"

/** Not all figures were reached. */
export class Missed extends Data.TaggedError("Missed") {}

/** How many instances there are where we start them. */
const instances = 2

const between = (name: string, minimum: number, maximum: number) =>
  Flag.Int(name).pipe(
    Flag.filter((n) => n >= minimum && n <= maximum, () => `a whole number from ${minimum} to ${maximum}`)
  )

const flags = {
  seed: between("seed", 0, 4_000_000).pipe(
    Flag.withDefault(1),
    Flag.withDescription("Which storm: the same one has the same chats, steps, and faults by provider and call")
  ),
  chats: between("chats", 100, 1_000_000).pipe(Flag.withDefault(10_000)),
  concurrency: between("concurrency", 1, 1_000).pipe(
    Flag.withDefault(32),
    Flag.withDescription("How many chats are under way at once, at most")
  ),
  outage: between("outage", 1, 3_600).pipe(
    Flag.withDefault(30),
    Flag.withDescription("How many seconds the primary is away; longer where the servers do not keep up")
  ),
  url: Flag.String("url").pipe(
    Flag.optional,
    Flag.withDescription(
      "A server that runs already; nothing is restarted there. Without it everything is started here"
    )
  ),
  adminKey: Flag.Redacted("admin-key").pipe(
    Flag.withFallbackConfig(Config.Redacted("ADMIN_KEY")),
    Flag.optional,
    Flag.withDescription("That server's admin key; without it that of ADMIN_KEY")
  ),
  apiKey: Flag.String("api-key").pipe(
    Flag.optional,
    Flag.withDescription("A key of that server that is not limited")
  ),
  json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("For programs: the verdict as JSON")),
  report: Flag.String("report").pipe(
    Flag.optional,
    Flag.withDescription("Also writes the verdict to this file, in Markdown")
  )
}

type Flags = Command.Command.Config.Infer<typeof flags>

const world = ({ adminKey, apiKey, seed, url }: Flags) =>
  Effect.gen(function*() {
    const output = yield* Output
    if (Option.isNone(url)) {
      const world = yield* World.local({ seed, instances })
      if (world.redis === undefined) {
        yield* output.say(
          `NO REDIS: ${world.withoutRedis}. Its restart is not run, and limits and circuits are not shared.`
        )
      }
      return world
    }
    if (Option.isNone(adminKey)) {
      return yield* new Usage({ sentence: "--url needs the server's admin key, in --admin-key or ADMIN_KEY." })
    }
    return World.remote(url.value, { apiKey: Option.getOrUndefined(apiKey), adminKey: adminKey.value })
  })

const command = ({ chats, concurrency, outage, seed, url }: Flags): string =>
  `pnpm --filter agent-server storm --seed ${seed} --chats ${chats} --concurrency ${concurrency} --outage ${outage}`
  + (Option.isSome(url) ? " --url …" : "")

const circumstances = (flags: Flags) =>
  Effect.map(DateTime.now, (now): render.Circumstances => ({
    command: command(flags),
    date: DateTime.formatIsoDateUtc(now),
    machine: `${platform()} ${arch()}, ${cpus().length} x ${
      cpus()[0]?.model.trim() ?? "?"
    }, Node ${process.versions.node}`
  }))

const tell = (flags: Flags, verdict: Verdict) =>
  Effect.gen(function*() {
    const output = yield* Output
    if (flags.json) yield* output.line(JSON.stringify(verdict))
    else yield* Effect.forEach(render.verdict(verdict), output.line)
    if (Option.isNone(flags.report)) return
    const files = yield* FileSystem.FileSystem
    yield* files.writeFileString(flags.report.value, render.page(verdict, yield* circumstances(flags)))
  })

/** The program. */
export const program = Command.make("storm", flags, (flags) =>
  Effect.gen(function*() {
    const output = yield* Output
    const over = yield* world(flags)
    const plan = Plan.make({
      seed: flags.seed,
      chats: flags.chats,
      outageSeconds: flags.outage,
      instances: over.restarts === undefined ? 0 : instances
    })
    const verdict = yield* Storm.run(over, plan, {
      concurrency: flags.concurrency,
      onProgress: (far) => output.progress("storm", far)
    }).pipe(Effect.ensuring(output.progressDone))
    yield* tell(flags, verdict)
    if (!verdict.passed) return yield* new Missed()
  }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))).pipe(
    Command.withDescription(
      "Lets a storm of failures come over the agent server, and says what its users saw of it. Exits with 1 where that is too much"
    )
  )
