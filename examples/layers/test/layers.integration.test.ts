/** Runs every example as its reader does, and looks at what it prints. */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const folder = fileURLToPath(new URL("../src/", import.meta.url))
const run = (name: string): ReadonlyArray<string> =>
  execFileSync(process.execPath, [`${folder}${name}.ts`], { encoding: "utf8" }).trim().split("\n").filter((line) =>
    !line.startsWith("[")
  )

/** What each prints, its log lines left out. */
const printed: { readonly [name: string]: ReadonlyArray<string> } = {
  "circuit-breaker": [
    "the weather service failed",
    "the weather service failed",
    "the weather service failed",
    "weather is left alone",
    "weather is left alone",
    "5 calls, and the service was asked 3 times",
    "sunny",
    "the circuit is Closed"
  ],
  "rate-limiter": [
    "ann is answered",
    "ann is answered",
    "ann is answered",
    "ann is over the limit perUser, which has 0 left",
    "bob is over the limit model, which has 700 left",
    "bob is answered"
  ],
  "fallback-chain": [
    "Does it rain? Yes. (large)",
    "Does it snow? Yes. (small)",
    "Thank you, and thanks for all. You are welcome. (canned)",
    "Is anybody there? I cannot answer just now. (apology)"
  ],
  "dead-letter-queue": [
    "mail to ann: DeadLettered",
    "mail to bob: DeadLettered",
    "kept: Overloaded, HTTP status 503",
    "kept: Overloaded, HTTP status 503",
    "sent to ann: The train leaves at nine.",
    "1 of 2 redriven",
    "sent to bob: The train leaves at nine.",
    "2 of 2 redriven",
    "0 letters are left"
  ],
  "health-probes": [
    "ready: 200 {\"status\":\"healthy\",\"checks\":[]}",
    "ready: 200 {\"status\":\"degraded\",\"checks\":[]}",
    "ready: 503 {\"status\":\"unhealthy\",\"checks\":[]}"
  ],
  "metrics": [
    "resilience_circuit_breaker_calls_total{kind=\"successful\",name=\"forecast\"} 5",
    "resilience_circuit_breaker_calls_total{kind=\"failed\",name=\"forecast\"} 5",
    "resilience_retry_calls_total{kind=\"successful_without_retry\",name=\"forecast\"} 5",
    "resilience_retry_calls_total{kind=\"failed_with_retry\",name=\"forecast\"} 5",
    "forecasts_total{kind=\"good\"} 5",
    "forecasts_total{kind=\"none\"} 5"
  ],
  "tracing": [
    "span call",
    "span call",
    "span call",
    "span request 500, resilience.retry.scheduled, resilience.retry.scheduled",
    "1000 requests, of which one failed"
  ]
}

describe("the examples of the layers", () => {
  it("are all in here, and each is under 60 lines", () => {
    const files = readdirSync(folder)
    assert.deepStrictEqual(files, Object.keys(printed).map((name) => `${name}.ts`).toSorted())
    for (const file of files) assert.isBelow(readFileSync(`${folder}${file}`, "utf8").split("\n").length, 60, file)
  })

  for (const [name, lines] of Object.entries(printed)) {
    it(name, () => assert.deepStrictEqual(run(name), lines))
  }
})
