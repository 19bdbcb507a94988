/**
 * Language-model providers for a machine that has none: real HTTP servers on loopback, which fail as they are told to.
 *
 * Each provider is found under a path of its own, `/llm-primary/v1`, and is used like the one it stands for.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import * as Faults from "./faults.ts"
import * as Ledger from "./ledger.ts"
import * as OpenAi from "./openai.ts"

/** The simulated providers, the primary first. */
const names = ["llm-primary"] as const
export type Name = (typeof names)[number]

/** The faults of every provider. */
export const AllFaults = Schema.Struct({ "llm-primary": Faults.Faults })
export type AllFaults = typeof AllFaults.Type

/** Some faults of some providers. */
export const AllFaultsPatch = Schema.Struct({ "llm-primary": Schema.optionalKey(Faults.FaultsPatch) })
export type AllFaultsPatch = typeof AllFaultsPatch.Type

/** The running simulator. */
export class Simulator extends Context.Service<Simulator, {
  /** Where a provider is: up to and including the version, as clients of the real one are given it. */
  readonly baseUrl: (name: Name) => string
  readonly faults: Effect.Effect<AllFaults>
  /** Changes what is given and leaves the rest. Answers with what holds now. */
  readonly change: (patch: AllFaultsPatch) => Effect.Effect<AllFaults>
  /** What a provider has done so far. */
  readonly ledger: (name: Name) => Effect.Effect<Readonly<Ledger.Page>>
}>()("agent-server/sim/Simulator") {}

const makeProvider = (name: Name, seed: number): OpenAi.Provider => ({
  name,
  // Each its own numbers, so that what one is asked does not change what another does.
  random: Effect.runSync(Random.withSeed(Random.Random, `${name}:${seed}`)),
  page: Ledger.emptyPage(),
  faults: Faults.none
})

const make = Effect.fnUntraced(function*(seed: number) {
  const providers: { readonly [N in Name]: OpenAi.Provider } = {
    "llm-primary": makeProvider("llm-primary", seed)
  }
  const server = yield* NodeHttpServer.make(() => createServer({ keepAliveTimeout: 60_000 }), {
    host: "127.0.0.1",
    port: 0,
    gracefulShutdownTimeout: 0
  })
  // Core runs what it is given uninterruptibly, and leaves it to routers to undo that; without it a hang outlives its client.
  yield* server.serve(Effect.interruptible(serve(providers)))
  const origin = HttpServer.formatAddress(server.address)
  const current = (): AllFaults => ({ "llm-primary": providers["llm-primary"].faults })
  return Simulator.of({
    baseUrl: (name) => `${origin}/${name}/v1`,
    faults: Effect.sync(current),
    change: (patch) =>
      Effect.sync(() => {
        for (const name of names) {
          const provider = providers[name]
          provider.faults = { ...provider.faults, ...patch[name] }
        }
        return current()
      }),
    ledger: (name) => Effect.sync(() => ({ ...providers[name].page }))
  })
})

const serve = (providers: { readonly [N in Name]: OpenAi.Provider }) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
    const [, name, path] = /^\/([^/]+)\/v1(\/[^?]*)/.exec(url) ?? []
    const provider = names.find((known) => known === name)
    if (provider !== undefined && method === "POST" && path === "/chat/completions") {
      return OpenAi.chatCompletions(providers[provider])
    }
    return provider !== undefined && method === "GET" && path === "/models" ? OpenAi.models : OpenAi.notFound
  })

/** Runs the providers on a free port. The same seed makes the same calls fail in the same order. */
export const layer = (options: { readonly seed: number }): Layer.Layer<Simulator, HttpServerError.ServeError> =>
  Layer.effect(Simulator, make(options.seed))
