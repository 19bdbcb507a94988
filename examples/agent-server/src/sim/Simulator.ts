/**
 * Providers for a machine that has none: real HTTP servers on loopback, which fail as they are told to.
 *
 * Each is found under a path of its own, such as `/llm-primary`, and is used like the one it stands for: two speak OpenAI's
 * chat completions, one Anthropic's messages, two transcribe and two speak as OpenAI's audio API does.
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
import * as Anthropic from "./anthropic.ts"
import * as Faults from "./faults.ts"
import * as Ledger from "./ledger.ts"
import { chatCompletions } from "./openai.ts"
import * as OpenAiErrors from "./openaiErrors.ts"
import { models } from "./openaiModels.ts"
import type { Provider, Reply } from "./provider.ts"
import { speech } from "./speech.ts"
import { transcriptions } from "./transcriptions.ts"

const openAiRoutes = { "POST /chat/completions": chatCompletions, "GET /models": models("gpt-4o", "gpt-4o-mini") }
const transcriptionRoutes = { "POST /audio/transcriptions": transcriptions, "GET /models": models("whisper-1") }
const speechRoutes = { "POST /audio/speech": speech, "GET /models": models("tts-1") }

type Routes = Readonly<Record<string, (provider: Provider) => Reply>>

/** What each provider is asked for, the primary first. */
const routes = {
  "llm-primary": openAiRoutes,
  "llm-secondary": openAiRoutes,
  "llm-anthropic": { "POST /messages": Anthropic.messages, "GET /models": Anthropic.models },
  "stt-primary": transcriptionRoutes,
  "stt-backup": transcriptionRoutes,
  "tts-primary": speechRoutes,
  "tts-backup": speechRoutes
} satisfies Readonly<Record<string, Routes>>

/** A simulated provider. */
export type Name = keyof typeof routes

const isName = (text: string | undefined): text is Name => text !== undefined && Object.hasOwn(routes, text)

/** The faults of every provider. */
export const AllFaults = Schema.Struct({
  "llm-primary": Faults.Faults,
  "llm-secondary": Faults.Faults,
  "llm-anthropic": Faults.Faults,
  "stt-primary": Faults.Faults,
  "stt-backup": Faults.Faults,
  "tts-primary": Faults.Faults,
  "tts-backup": Faults.Faults
})
export type AllFaults = typeof AllFaults.Type

const patch = Schema.optionalKey(Faults.FaultsPatch)

/** Some faults of some providers. */
export const AllFaultsPatch = Schema.Struct({
  "llm-primary": patch,
  "llm-secondary": patch,
  "llm-anthropic": patch,
  "stt-primary": patch,
  "stt-backup": patch,
  "tts-primary": patch,
  "tts-backup": patch
})
export type AllFaultsPatch = typeof AllFaultsPatch.Type

/** The running simulator. */
export class Simulator extends Context.Service<Simulator, {
  /** Where a provider is, as clients of the real one are given it: OpenAI's with the version, Anthropic's without. */
  readonly baseUrl: (name: Name) => string
  readonly faults: Effect.Effect<AllFaults>
  /** Changes what is given and leaves the rest. Answers with what holds now. */
  readonly change: (patch: AllFaultsPatch) => Effect.Effect<AllFaults>
  /** What a provider has done so far. */
  readonly ledger: (name: Name) => Effect.Effect<Readonly<Ledger.Page>>
  /** What all of them have done. */
  readonly ledgers: Effect.Effect<{ readonly [N in Name]: Readonly<Ledger.Page> }>
}>()("agent-server/sim/Simulator") {}

type Providers = { readonly [N in Name]: Provider }

/** Something for each provider. */
const forEach = <A>(of: (name: Name) => A): { readonly [N in Name]: A } => ({
  "llm-primary": of("llm-primary"),
  "llm-secondary": of("llm-secondary"),
  "llm-anthropic": of("llm-anthropic"),
  "stt-primary": of("stt-primary"),
  "stt-backup": of("stt-backup"),
  "tts-primary": of("tts-primary"),
  "tts-backup": of("tts-backup")
})

const makeProvider = (name: Name, seed: number): Provider => ({
  name,
  // Each its own numbers, so that what one is asked does not change what another does.
  random: Effect.runSync(Random.withSeed(Random.Random, `${name}:${seed}`)),
  page: Ledger.emptyPage(),
  faults: Faults.none
})

const make = Effect.fnUntraced(function*(seed: number) {
  const providers: Providers = forEach((name) => makeProvider(name, seed))
  const server = yield* NodeHttpServer.make(() => createServer({ keepAliveTimeout: 60_000 }), {
    host: "127.0.0.1",
    port: 0,
    gracefulShutdownTimeout: 0
  })
  // Core runs what it is given uninterruptibly, and leaves it to routers to undo that; without it a hang outlives its client.
  yield* server.serve(Effect.interruptible(serve(providers)))
  const origin = HttpServer.formatAddress(server.address)
  const current = (): AllFaults => forEach((name) => providers[name].faults)
  return Simulator.of({
    baseUrl: (name) => name === "llm-anthropic" ? `${origin}/${name}` : `${origin}/${name}/v1`,
    faults: Effect.sync(current),
    change: (patch) =>
      Effect.sync(() => {
        forEach((name) => {
          providers[name].faults = { ...providers[name].faults, ...patch[name] }
        })
        return current()
      }),
    ledger: (name) => Effect.sync(() => ({ ...providers[name].page })),
    ledgers: Effect.sync(() => forEach((name) => ({ ...providers[name].page })))
  })
})

const serve = (providers: Providers): Reply =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
    const [, name, path] = /^\/([^/]+)\/v1(\/[^?]*)/.exec(url) ?? []
    if (!isName(name)) return notFound
    const ofProvider: Routes = routes[name]
    const route = ofProvider[`${method} ${path}`]
    return route !== undefined ? route(providers[name]) : name === "llm-anthropic" ? Anthropic.notFound : notFound
  })

const notFound: Reply = Effect.succeed(OpenAiErrors.notFound)

/** Runs the providers on a free port. The same seed makes the same calls fail in the same order. */
export const layer = (options: { readonly seed: number }): Layer.Layer<Simulator, HttpServerError.ServeError> =>
  Layer.effect(Simulator, make(options.seed))
