import * as HaProxyServer from "@effect-resilience/testing/HaProxyServer"
import { describe, freePort } from "@effect-resilience/testing/RealServer"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import { startProgram } from "./support/program.ts"

/** One request; what it came to. */
const ask = (port: number, agent: Http.Agent, method: string, path: string): Promise<string> =>
  new Promise((resolve) => {
    Http.request({ port, host: "127.0.0.1", path, method, agent }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (more: string) => text += more)
      response.on("error", (error) => resolve(`${method} ${path}: ${error.message}`))
      response.on(
        "end",
        () => resolve(response.statusCode === 200 ? text : `${method} ${path}: ${response.statusCode}`)
      )
    }).on("error", (error) => resolve(`${method} ${path}: ${error.message}`)).end()
  })

describe("haproxy", "two servers behind a load balancer", () => {
  it.live("SD3 are restarted one after the other under load, and no request fails", () =>
    Effect.gen(function*() {
      const servers = { one: yield* freePort, two: yield* freePort }
      const start = Effect.fnUntraced(function*(name: keyof typeof servers) {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const program = yield* Scope.provide(
          startProgram({ PORT: String(servers[name]), PRE_STOP_DELAY: "2 seconds" }),
          scope
        )
        yield* Effect.promise(() => program.says("up at "))
        return program
      })
      const running = { one: yield* start("one"), two: yield* start("two") }
      const proxy = yield* HaProxyServer.make({ servers, readiness: "/ready" })
      yield* proxy.until("one", "UP")
      yield* proxy.until("two", "UP")

      const load = { on: true, answered: 0, id: 0 }
      const failures: Array<string> = []
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new Http.Agent({ keepAlive: true })),
        (agent) => Effect.sync(() => agent.destroy())
      )
      const client = async (index: number) => {
        while (load.on) {
          // Half of them cannot be sent again by anybody, and some take a while.
          const isSlow = index === 0
          const result = isSlow
            ? await ask(proxy.port, agent, "GET", "/slow")
            : await ask(proxy.port, agent, "POST", `/letters/${load.id++}`)
          if (result === (isSlow ? "done" : "kept")) load.answered++
          else failures.push(result)
        }
      }
      const clients = Promise.all(Array.from({ length: 8 }, (_, index) => client(index % 4)))

      for (const round of [1, 2]) {
        for (const name of ["one", "two"] as const) {
          running[name].kill("SIGTERM")
          const { code, output } = yield* Effect.promise(() => running[name].ended)
          assert.strictEqual(code, 0, `${name} in round ${round}: ${output}`)
          running[name] = yield* start(name)
          yield* proxy.until(name, "UP")
        }
      }
      load.on = false
      yield* Effect.promise(() => clients)
      assert.deepStrictEqual(failures, [], `of ${load.answered + failures.length}`)
      assert.isAbove(load.answered, 500)
    }).pipe(Effect.scoped), 120_000)
})
