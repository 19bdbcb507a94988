/** A whole program with a server, a database and something that has to be flushed, to be stopped in all manners. */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as Tracing from "effect-resilience/Tracing"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"

const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

/** Counts what was answered, and tells the count at the end, as an exporter of telemetry would. */
class Telemetry extends Context.Service<Telemetry, { answered: number }>()("Telemetry") {
  static readonly layer = Layer.effect(
    Telemetry,
    Effect.gen(function*() {
      const stuck = yield* Config.withDefault(Config.Boolean("STUCK"), false)
      return yield* Effect.acquireRelease(
        Effect.sync(() => ({ answered: 0 })),
        ({ answered }) => stuck ? Effect.never : say(`flushed ${answered}`)
      )
    })
  )
}

let ready = true

const routes = HttpRouter.addAll([
  HttpRouter.route("GET", "/ready", () => Effect.sync(() => HttpServerResponse.empty({ status: ready ? 200 : 503 }))),
  HttpRouter.route("GET", "/slow", () =>
    Effect.gen(function*() {
      yield* say("started")
      yield* Effect.sleep("500 millis")
      const telemetry = yield* Telemetry
      telemetry.answered++
      return HttpServerResponse.text("done")
    })),
  HttpRouter.route("GET", "/hang", () => Effect.andThen(say("started"), Effect.never)),
  HttpRouter.route("POST", "/letters/:id", () =>
    Effect.gen(function*() {
      const { id } = yield* HttpRouter.params
      const sql = yield* SqlClient.SqlClient
      yield* sql`INSERT INTO letters ${sql.insert({ id: Number(id) })}`
      return HttpServerResponse.text("kept")
    }))
])

const database = Layer.effectDiscard(
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY)`)
).pipe(
  Layer.provideMerge(SqliteClient.layerConfig({
    filename: Config.withDefault(Config.String("DATABASE"), ":memory:")
  }))
)

const server = NodeServer.layerConfig({
  port: Config.withDefault(Config.Int("PORT"), 0),
  host: Config.succeed("127.0.0.1"),
  preStopDelay: Config.Duration("PRE_STOP_DELAY"),
  drainTimeout: Config.Duration("DRAIN_TIMEOUT"),
  terminationGracePeriod: Config.Duration("GRACE")
}, {
  onDrain: Effect.suspend(() => {
    ready = false
    return say("draining")
  })
})

/** Exports where the environment names a collector. */
const tracing = Tracing.layer().pipe(
  Layer.provide(OtlpExporter.layerFromEnv),
  Layer.provide(NodeHttpClient.layerUndici)
)

const greeting = Layer.effectDiscard(
  Effect.flatMap(HttpServer.HttpServer, ({ address }) => say(`up at ${HttpServer.formatAddress(address)}`))
)

const program = HttpRouter.serve(routes, { disableLogger: true }).pipe(
  Layer.provideMerge(greeting),
  Layer.provide(server),
  Layer.provide(database),
  Layer.provide(Telemetry.layer),
  Layer.provide(tracing)
)

NodeServer.runMain(Layer.launch(program))
