/** The providers that are watched, and how they are asked. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Provider } from "../providers/settings.ts"
import { type Name, Simulator } from "../sim/Simulator.ts"
import type { Pair, Speech } from "../voice/settings.ts"
import { type Dependency, shown } from "./Dependency.ts"

/** A provider as its clients know it. */
interface Endpoint {
  readonly name: string
  readonly baseUrl: string
  /** Where under that the models are listed. */
  readonly path: "/models" | "/v1/models"
  /** What lets us in. */
  readonly headers: Readonly<Record<string, string>>
}

const openAi = (
  name: string,
  { apiKey, baseUrl }: { readonly baseUrl: string; readonly apiKey?: Redacted.Redacted | undefined }
): Endpoint => ({
  name,
  baseUrl,
  path: "/models",
  headers: apiKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(apiKey)}` }
})

const anthropic = (
  name: string,
  { apiKey, baseUrl }: { readonly baseUrl?: string | undefined; readonly apiKey?: Redacted.Redacted | undefined }
): Endpoint => ({
  name,
  baseUrl: baseUrl ?? "https://api.anthropic.com",
  path: "/v1/models",
  headers: {
    "anthropic-version": "2023-06-01",
    ...(apiKey === undefined ? {} : { "x-api-key": Redacted.value(apiKey) })
  }
})

/** The language models, the first choice first. Two at one place are still two: their circuits are. */
const models = (provider: Provider): ReadonlyArray<Endpoint> | undefined => {
  if (provider._tag === "Simulated") return undefined
  const { anthropic: messages, openAi: completions } = provider
  return [
    ...(completions === undefined ? [] : [openAi("llm-primary", completions)]),
    ...(completions?.fallbackModel === undefined ? [] : [openAi("llm-secondary", completions)]),
    ...(messages === undefined ? [] : [anthropic("llm-anthropic", messages)])
  ]
}

/** The services of a kind of speech. */
const speech = (kind: "stt" | "tts", pair: Pair): ReadonlyArray<Endpoint> | undefined =>
  pair._tag === "Simulated" ? undefined : [
    openAi(`${kind}-primary`, pair.primary),
    ...(pair.backup === undefined ? [] : [openAi(`${kind}-backup`, pair.backup)])
  ]

/** What is asked. */
interface Settings {
  readonly provider: Provider
  readonly speech: Speech
}

/** The table: a row for each provider that the server uses. What is not a real one is simulated. */
const endpoints = (settings: Settings): Effect.Effect<ReadonlyArray<Endpoint>> =>
  Effect.map(Effect.serviceOption(Simulator), (simulator) => {
    // One that speech has to itself is nobody's to watch.
    const simulated = (...names: ReadonlyArray<Name>) =>
      Option.isNone(simulator) ? [] : names.map((name) => {
        const baseUrl = simulator.value.baseUrl(name)
        return name === "llm-anthropic" ? anthropic(name, { baseUrl }) : openAi(name, { baseUrl })
      })
    return [
      ...models(settings.provider) ?? simulated("llm-primary", "llm-secondary", "llm-anthropic"),
      ...speech("stt", settings.speech.stt) ?? simulated("stt-primary", "stt-backup"),
      ...speech("tts", settings.speech.tts) ?? simulated("tts-primary", "tts-backup")
    ]
  })

/** What the providers of this configuration are asked. */
export const dependencies = (
  settings: Settings
): Effect.Effect<ReadonlyArray<Dependency<HttpClient.HttpClient>>> =>
  Effect.map(
    endpoints(settings),
    (found) =>
      found.map((endpoint) => ({ name: endpoint.name, url: shown(endpoint.baseUrl), probe: listsModels(endpoint) }))
  )

/** The provider answered, and what it said was no. */
class ProbeRefused extends Data.TaggedError("ProbeRefused")<{ readonly path: string; readonly status: number }> {
  override get message(): string {
    return `GET ${this.path} was answered with status ${this.status}`
  }
}

/**
 * Asks for the list of models: it costs nothing, and it takes the network, the provider's front and our key to be answered.
 *
 * Ill are only those answers that a call would get as well. A provider that has no such list, or says that we ask too often, is
 * there.
 */
const listsModels = ({ baseUrl, headers, path }: Endpoint): Effect.Effect<void, unknown, HttpClient.HttpClient> => {
  const request = HttpClientRequest.setHeaders(HttpClientRequest.get(baseUrl.replace(/\/$/, "") + path), headers)
  return Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const { status } = yield* client.execute(request)
    if (status >= 500 || status === 401 || status === 403) return yield* new ProbeRefused({ path, status })
  }).pipe(Effect.scoped)
}
