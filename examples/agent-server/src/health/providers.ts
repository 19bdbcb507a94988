/** The providers that are watched, and how they are asked. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Provider } from "../config.ts"
import { Simulator } from "../sim/Simulator.ts"
import { type Dependency, shown } from "./Dependency.ts"

/** A provider as its clients know it. */
interface Endpoint {
  readonly name: string
  /** Up to and including the version. */
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
}

/** The table: a row for each provider that the server uses, the first choice first. */
const endpoints = (provider: Provider): Effect.Effect<ReadonlyArray<Endpoint>> =>
  provider._tag === "OpenAiCompatible"
    ? Effect.succeed([{ name: "llm-primary", ...provider }])
    : Effect.map(
      Effect.serviceOption(Simulator),
      Option.match({
        onNone: () => [],
        onSome: ({ baseUrl }) => [{ name: "llm-primary", baseUrl: baseUrl("llm-primary") }]
      })
    )

/** What the providers of this configuration are asked. */
export const dependencies = (
  provider: Provider
): Effect.Effect<ReadonlyArray<Dependency<HttpClient.HttpClient>>> =>
  Effect.map(endpoints(provider), (found) =>
    found.map((endpoint) => ({
      name: endpoint.name,
      url: shown(endpoint.baseUrl),
      probe: listsModels(endpoint)
    })))

/** The provider answered, and what it said was no. */
class ProbeRefused extends Data.TaggedError("ProbeRefused")<{ readonly status: number }> {
  override get message(): string {
    return `GET /models was answered with status ${this.status}`
  }
}

/**
 * Asks for the list of models: it costs nothing, and it takes the network, the provider's front and our key to be answered.
 *
 * Ill are only those answers that a chat would get as well. A provider that has no such list, or says that we ask too often, is
 * there.
 */
const listsModels = (
  { apiKey, baseUrl }: Endpoint
): Effect.Effect<void, unknown, HttpClient.HttpClient> => {
  const request = HttpClientRequest.get(`${baseUrl.replace(/\/$/, "")}/models`)
  return Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const { status } = yield* client.execute(
      apiKey === undefined ? request : HttpClientRequest.bearerToken(request, apiKey)
    )
    if (status >= 500 || status === 401 || status === 403) return yield* new ProbeRefused({ status })
  }).pipe(Effect.scoped)
}
