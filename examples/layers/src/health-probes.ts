/**
 * What an orchestrator asks: does it live, has it started, may it have traffic? Checks run in the background; the probes
 * only read. A dependency that fails makes the program degraded, and only a critical one makes it unready.
 *
 *     node src/health-probes.ts
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Schedule } from "effect"
import { HealthProbes } from "effect-resilience"
import * as HealthRoutes from "effect-resilience/http/HealthRoutes"
import { HttpClient, HttpRouter } from "effect/http"

const failing = new Set<string>()
const ping = (dependency: string) =>
  Effect.suspend(() => failing.has(dependency) ? Effect.fail(`${dependency} does not answer`) : Effect.void)

const interval = Schedule.spaced("50 millis")
const Health = HealthProbes.layer([
  HealthProbes.check({ name: "database", probe: ping("database"), critical: true, interval }),
  HealthProbes.check({ name: "recommendations", probe: ping("recommendations"), interval })
])

const Server = HttpRouter.serve(HealthRoutes.layer(), { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const probe = Effect.gen(function*() {
  const response = yield* HttpClient.get("/health/ready")
  yield* Console.log(`ready: ${response.status} ${yield* response.text}`)
})

const until = (status: HealthProbes.Verdict["status"]) =>
  Effect.repeat(HealthProbes.ready, {
    schedule: Schedule.spaced("10 millis"),
    until: (verdict) => verdict.status === status
  })

const program = Effect.gen(function*() {
  yield* HealthProbes.waitUntilReady
  yield* probe
  failing.add("recommendations")
  yield* until("degraded")
  yield* probe
  failing.add("database")
  yield* until("unhealthy")
  yield* probe
})

NodeRuntime.runMain(Effect.provide(program, Layer.provideMerge(Server, Health)))
