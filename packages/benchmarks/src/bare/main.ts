/**
 * The floor: Effect's own router, client and server with the same chat route, and no policies. There are no limits, no circuit,
 * no retries, no keys, no metrics, no log, no history of a session; a turn is stored as the agent server stores it.
 */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { join } from "node:path"
import { agentsByName } from "../fastify/agents.ts"

const env = (name: string): string => process.env[name] ?? ""

const ChatRequest = Schema.Struct({
  message: Schema.NonEmptyString,
  stream: Schema.optionalKey(Schema.Boolean)
})

const Usage = Schema.Struct({ prompt_tokens: Schema.Int, completion_tokens: Schema.Int, total_tokens: Schema.Int })

const Completion = Schema.Struct({
  model: Schema.String,
  choices: Schema.NonEmptyArray(Schema.Struct({ message: Schema.Struct({ content: Schema.String }) })),
  usage: Usage
})

const Chunk = Schema.fromJsonString(Schema.Struct({
  choices: Schema.Array(
    Schema.Struct({ delta: Schema.Struct({ content: Schema.optionalKey(Schema.String) }) })
  )
}))

const decodeChunk = Schema.decodeUnknownEffect(Chunk)

const event = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

const createTables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE agent_sessions (
    id TEXT PRIMARY KEY NOT NULL, agent TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
  )`
  yield* sql`CREATE TABLE agent_messages (
    session_id TEXT NOT NULL REFERENCES agent_sessions (id) ON DELETE CASCADE, seq INTEGER NOT NULL,
    role TEXT NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL, served TEXT, PRIMARY KEY (session_id, seq)
  )`
})

const routes = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
  const sql = yield* SqlClient.SqlClient
  yield* createTables

  const store = (id: string, agent: string, said: string, replied: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const at = new Date().toISOString()
      yield* sql`INSERT INTO agent_sessions ${sql.insert({ id, agent, created_at: at, updated_at: at })}`
      yield* sql`INSERT INTO agent_messages ${
        sql.insert([
          { session_id: id, seq: 0, role: "user", content: said, at, served: null },
          { session_id: id, seq: 1, role: "assistant", content: replied, at, served: null }
        ])
      }`
    }))

  const call = (system: string, said: string, stream: boolean) =>
    client.execute(
      HttpClientRequest.post(`${env("OPENAI_BASE_URL")}/chat/completions`).pipe(HttpClientRequest.bodyJsonUnsafe({
        model: "gpt-4o",
        messages: [{ role: "system", content: system }, { role: "user", content: said }],
        ...(stream ? { stream } : {})
      }))
    )

  const deltas = (response: HttpClientResponse.HttpClientResponse) =>
    response.stream.pipe(
      Stream.decodeText,
      Stream.pipeThroughChannel(Sse.decode()),
      Stream.takeWhile(({ data }) => data !== "[DONE]"),
      Stream.mapEffect(({ data }) => decodeChunk(data)),
      Stream.map(({ choices }) => choices[0]?.delta.content ?? "")
    )

  yield* router.add(
    "POST",
    "/v1/agents/:agent/chat",
    Effect.gen(function*() {
      const { agent: name = "" } = yield* HttpRouter.params
      const agent = agentsByName.get(name)
      if (agent === undefined) return HttpServerResponse.empty({ status: 404 })
      const { message, stream = false } = yield* HttpServerRequest.schemaBodyJson(ChatRequest)
      const id = randomBytes(16).toString("base64url")
      const response = yield* call(agent.system, message, stream)
      if (stream) {
        let reply = ""
        const events = deltas(response).pipe(
          Stream.filter((text) => text !== ""),
          Stream.map((text) => {
            reply += text
            return event("delta", { text })
          }),
          Stream.concat(Stream.fromEffect(
            Effect.map(
              Effect.suspend(() => store(id, name, message, reply)),
              () => event("done", { session_id: id, reply, agent: name })
            )
          )),
          Stream.encodeText
        )
        return HttpServerResponse.stream(events, { contentType: "text/event-stream" })
      }
      const { choices, model, usage } = yield* HttpClientResponse.schemaBodyJson(Completion)(response)
      const reply = choices[0].message.content
      yield* store(id, name, message, reply)
      return HttpServerResponse.jsonUnsafe({ session_id: id, reply, agent: name, model, usage })
    })
  )
}))

const greeting = Layer.effectDiscard(
  Effect.flatMap(
    HttpServer.HttpServer,
    ({ address }) => Effect.sync(() => process.stdout.write(`listening at ${HttpServer.formatAddress(address)}\n`))
  )
)

const server = Layer.merge(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }), greeting).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: Number(env("PORT")), host: "127.0.0.1" })),
  Layer.provide(NodeHttpClient.layerUndiciOptions({ connections: Number(env("PROVIDER_CONCURRENCY")) })),
  Layer.provide(SqliteClient.layer({ filename: join(env("DATA_DIR"), "agent.sqlite") }))
)

NodeRuntime.runMain(Layer.launch(server))
