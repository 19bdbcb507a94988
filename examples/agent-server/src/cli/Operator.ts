/** A running server, as its operator speaks to it: the endpoints of its dead letters over HTTP. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { DeadLetters, type RedriveEvent, type RedriveRequest } from "effect-resilience/http/AdminApi"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { type Refused, refusedBy } from "./Refused.ts"

/** The part of the server's API that this is about. */
class Endpoints extends HttpApi.make("agent-server").add(DeadLetters) {}

/** Where the server is, and the key that opens it. */
export interface Target {
  readonly url: string
  readonly adminKey: Redacted.Redacted | undefined
}

const client = ({ adminKey, url }: Target) =>
  HttpApiClient.make(Endpoints, {
    baseUrl: url,
    transformClient: (client) =>
      adminKey === undefined
        ? client
        : HttpClient.mapRequest(client, HttpClientRequest.bearerToken(adminKey))
  })

type Client = Effect.Success<ReturnType<typeof client>>["deadLetters"]
type Asked<Name extends keyof Client> = Parameters<Client[Name]>[0]

/** The endpoints, each asked for what it answers with. */
const endpoints = (deadLetters: Client) => ({
  list: (query: Asked<"list">["query"]) => deadLetters.list({ query }),
  get: (id: string) => deadLetters.get({ params: { id } }),
  redrive: (request: RedriveRequest) => deadLetters.redrive({ payload: { ...request, stream: true } }),
  discard: (id: string, reason: string) => deadLetters.discard({ params: { id }, payload: { reason } }),
  report: () => deadLetters.report({}),
  export: (query: Filter) => deadLetters.export({ query })
})

type Answer<Name extends keyof ReturnType<typeof endpoints>> = Effect.Success<
  ReturnType<ReturnType<typeof endpoints>[Name]>
>

/** Letters as lists have them, and where the next ones are. */
export type Page = Answer<"list">
/** A letter without what is in it. */
export type Letter = Page["letters"][number]
/** A letter with what is in it. */
export type OpenedLetter = Answer<"get">
/** The queue in numbers. */
export type Report = Answer<"report">
/** Which letters are meant. */
export type Filter = Asked<"export">["query"]
/** What a letter failed with. */
export type Failure = Letter["failure"]

/** The server. What it refuses, or why it cannot be asked, is a sentence. */
export class Operator extends Context.Service<Operator, {
  readonly list: (query: Asked<"list">["query"]) => Effect.Effect<Page, Refused>
  readonly get: (id: string) => Effect.Effect<OpenedLetter, Refused>
  readonly redrive: (request: RedriveRequest) => Stream.Stream<RedriveEvent, Refused>
  readonly discard: (id: string, reason: string) => Effect.Effect<Letter, Refused>
  readonly report: Effect.Effect<Report, Refused>
  /** Lines of JSON, each with its line feed. */
  readonly export: (filter: Filter) => Stream.Stream<string, Refused>
}>()("agent-server/cli/Operator") {}

/** Speaks to this server. */
export const layer = (target: Target): Layer.Layer<Operator> =>
  Layer.effect(
    Operator,
    Effect.map(client(target), ({ deadLetters }) => {
      const refused = refusedBy(target)
      const asking = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, Refused> => Effect.mapError(self, refused)
      const ask = endpoints(deadLetters)
      return {
        list: (query) => asking(ask.list(query)),
        get: (id) => asking(ask.get(id)),
        redrive: (request) =>
          Stream.unwrap(
            Effect.map(
              asking(ask.redrive(request)),
              // It was asked for as a stream.
              (reply) => Stream.isStream(reply) ? Stream.mapError(reply, refused) : Stream.empty
            )
          ),
        discard: (id, reason) => asking(ask.discard(id, reason)),
        report: asking(ask.report()),
        export: (filter) => Stream.unwrap(asking(ask.export(filter))).pipe(Stream.mapError(refused), Stream.decodeText)
      }
    })
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))
