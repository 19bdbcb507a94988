/**
 * A private, real `prometheus` (2.40 or newer, from `PATH`) for the length of a scope.
 *
 * It scrapes the targets it is given, listens on a free port of the loopback interface, keeps its files in a folder of its own,
 * and never outlives the process that started it.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./internal/freePort.ts"
import { type ServerProcess, ServerStartFailed, start } from "./internal/serverProcess.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What is scraped: `host:port`. */
  readonly targets: ReadonlyArray<string>
  /** Default `/metrics`. */
  readonly path?: string | undefined
  /** Default 500. */
  readonly scrapeMillis?: number | undefined
}

/**
 * One series of an answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Series {
  readonly metric: { readonly [label: string]: string }
  readonly value: number
}

/**
 * A query was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueryFailed extends Data.TaggedError("QueryFailed")<{ readonly reason: string }> {
  override get message(): string {
    return `Prometheus refused a query: ${this.reason}`
  }
}

/**
 * A server that runs until the scope closes.
 *
 * - `query`: the series that an expression has now
 * - `targets`: the health of each target, and why it is down
 * - `exemplars`: the exemplars of an expression in the last minutes, as label sets
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "prometheus-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  const file = join(folder, "prometheus.yml")
  yield* Effect.sync(() => writeFileSync(file, configuration(options)))
  const process = yield* start("prometheus", [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--enable-feature=exemplar-storage",
    "--log.level=warn"
  ], { cwd: folder })
  const url = `http://127.0.0.1:${port}`
  yield* waitUntilReady(url, process)

  const api = <A>(path: string): Effect.Effect<A, QueryFailed> =>
    Effect.tryPromise({
      try: async () => {
        const response = await fetch(`${url}/api/v1/${path}`)
        const answer = await response.json() as { readonly data?: A; readonly error?: string }
        if (answer.data === undefined) throw new Error(answer.error ?? `status ${response.status}`)
        return answer.data
      },
      catch: (error) => new QueryFailed({ reason: String(error) })
    })

  const query = (expression: string): Effect.Effect<ReadonlyArray<Series>, QueryFailed> =>
    Effect.map(
      api<{ readonly result: ReadonlyArray<{ readonly metric: Series["metric"]; readonly value: [number, string] }> }>(
        `query?query=${encodeURIComponent(expression)}`
      ),
      ({ result }) => result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
    )

  const targets = Effect.map(
    api<{ readonly activeTargets: ReadonlyArray<{ readonly health: string; readonly lastError: string }> }>("targets"),
    ({ activeTargets }) => activeTargets.map(({ health, lastError }) => ({ health, lastError }))
  )

  const exemplars = (expression: string): Effect.Effect<ReadonlyArray<Series["metric"]>, QueryFailed> =>
    Effect.map(
      api<ReadonlyArray<{ readonly exemplars: ReadonlyArray<{ readonly labels: Series["metric"] }> }>>(
        `query_exemplars?query=${encodeURIComponent(expression)}&start=0&end=9999999999`
      ),
      (series) => series.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels))
    )

  return { url, query, targets, exemplars }
})

const configuration = ({ path = "/metrics", scrapeMillis = 500, targets }: Options): string =>
  JSON.stringify({
    global: { scrape_interval: `${scrapeMillis}ms`, scrape_timeout: `${scrapeMillis}ms` },
    scrape_configs: [{ job_name: "test", metrics_path: path, static_configs: [{ targets }] }]
  })

/** Up to thirty seconds: a machine that runs many tests at once is slow to start a process. */
const waitUntilReady = (url: string, process: ServerProcess) =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(`${url}/-/ready`)
      if (!response.ok) throw new Error(`status ${response.status}`)
    },
    catch: String
  }).pipe(
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))),
    Effect.raceFirst(Effect.andThen(process.ended, Effect.fail("it ended"))),
    Effect.mapError((reason) => new ServerStartFailed({ program: "prometheus", reason, output: process.output() }))
  )
