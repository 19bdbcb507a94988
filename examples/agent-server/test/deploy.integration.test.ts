/** The alerts and dashboards in `deploy/`: they say what they mean, and ask for nothing that there is not. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import { describe, expect, it } from "@effect/vitest"
import * as Metrics from "effect-resilience/Metrics"
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { chat, request, setFaults, unlimited } from "./support/client.ts"
import { samplesIn } from "./support/metrics.ts"
import { askedBy } from "./support/promql.ts"
import { startFresh, temporaryFolder } from "./support/server.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const deploy = join(root, "deploy")

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly for?: string
  readonly annotations?: { readonly runbook_url: string }
}

interface Case {
  readonly name: string
  readonly alert_rule_test: ReadonlyArray<{ readonly alertname: string; readonly exp_alerts: ReadonlyArray<unknown> }>
}

interface TestFile {
  readonly evaluation_interval: string
  readonly tests: ReadonlyArray<Case>
}

// The files of this repository, whose form promtool checks.
const yaml = (path: string) => Yaml.parse(readFileSync(join(deploy, "prometheus", path), "utf8")) as unknown
const rules = (yaml("rules.yml") as { readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }> }).groups
  .flatMap(({ rules }) => rules)
const testFiles = ["rules.test.yml", "error-budget.test.yml"].map((file) => yaml(file) as TestFile)

const alerts = rules.filter(({ alert }) => alert !== undefined)
const recorded = new Map(rules.flatMap(({ expr, record }) => record === undefined ? [] : [[record, expr] as const]))

/** Runs promtool on rules and cases of our making; whether it found that they agree. JSON is YAML, too. */
const agrees = (rules: ReadonlyArray<Rule>, file: TestFile): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.flatMap(temporaryFolder, (folder) =>
    Effect.promise(() => {
      writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "all", rules }] }))
      writeFileSync(join(folder, "test.yml"), JSON.stringify({ ...file, rule_files: ["rules.yml"] }))
      return new Promise<boolean>((resolve) => {
        const program = "promtool"
        execFile(program, ["test", "rules", "test.yml"], { cwd: folder }, (error) => resolve(error === null))
      })
    }))

/** The rules that an alert needs, and its cases. */
const alone = (rule: Rule) => {
  const needs = [...recorded].filter(([name]) => rule.expr.includes(name)).map(([record, expr]) => ({ record, expr }))
  const file = testFiles.find(({ tests }) => tests.some((each) => isOf(each, rule)))!
  return { needs, file: { ...file, tests: file.tests.filter((each) => isOf(each, rule)) } }
}

const isOf = ({ alert_rule_test }: Case, { alert }: Rule) =>
  alert_rule_test.some(({ alertname }) => alertname === alert)

/** The rule with another threshold, other windows of time, another time to wait. */
const mutants = (rule: Rule): ReadonlyArray<Rule> => {
  const threshold = (change: (value: number) => number) => ({
    ...rule,
    expr: rule.expr.replaceAll(
      /([<>]) (\d+(?:\.\d+)?)(?!\d*\))/g,
      (_, comparison: string, value: string) => `${comparison} ${change(Number(value))}`
    )
  })
  const changed = [
    threshold((value) => value === 0 ? 1.5 : value * 1.5),
    threshold((value) => value === 0 ? -1.5 : value / 1.5)
  ].filter(({ expr }) => expr !== rule.expr)
  return rule.for === undefined ? changed : [...changed, { ...rule, for: `${Number.parseInt(rule.for) * 3}m` }]
}

RealServer.describe("promtool", "alerts", () => {
  for (const rule of alerts) {
    it.live(
      `${rule.alert} fires when it should, and a case says so when its threshold or its time is changed`,
      () =>
        Effect.gen(function*() {
          const { file, needs } = alone(rule)
          const expectations = file.tests.flatMap(({ alert_rule_test }) => alert_rule_test)
          expect(expectations.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true)
          expect(expectations.some(({ exp_alerts }) => exp_alerts.length === 0)).toBe(true)
          expect(yield* agrees([...needs, rule], file)).toBe(true)
          const changed = mutants(rule)
          expect(changed.length).toBeGreaterThan(0)
          for (const mutant of changed) {
            expect(yield* agrees([...needs, mutant], file), JSON.stringify(mutant)).toBe(false)
          }
        }).pipe(Effect.scoped),
      120_000
    )
  }
})

// -----------------------------------------------------------------------------
// Names
// -----------------------------------------------------------------------------

interface Panel {
  readonly title: string
  readonly targets?: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>
}

const dashboards = readdirSync(join(deploy, "grafana")).map((file) => ({
  file,
  // As above.
  panels: (JSON.parse(readFileSync(join(deploy, "grafana", file), "utf8")) as { readonly panels: ReadonlyArray<Panel> })
    .panels
}))

const catalogue: {
  readonly [name: string]: {
    readonly type: string
    readonly labels: ReadonlyArray<string>
    readonly values?: { readonly [label: string]: ReadonlyArray<string> }
    readonly from: string
  }
} = Metrics.catalogue

/** What Prometheus adds. */
const ofPrometheus = ["job", "instance"]

/** The entry of a series: a histogram has three kinds. */
const entryOf = (name: string): string | undefined => {
  if (Object.hasOwn(catalogue, name)) return catalogue[name]!.type === "histogram" ? undefined : name
  const family = name.replace(/_(bucket|sum|count)$/, "")
  return Object.hasOwn(catalogue, family) && catalogue[family]!.type === "histogram" ? family : undefined
}

const labelsOf = (name: string): ReadonlyArray<string> => [
  ...ofPrometheus,
  ...(name.endsWith("_bucket") ? ["le"] : []),
  ...(name === "up" ? [] : catalogue[entryOf(name)!]!.labels)
]

/** What is wrong with the names of an expression. */
const wrongWith = (expression: string, legend = ""): ReadonlyArray<string> => {
  const { grouping, metrics } = askedBy(expression)
  const known = metrics.filter(({ name }) => name !== "up" && !recorded.has(name))
  const unknown = known.filter(({ name }) => entryOf(name) === undefined)
  if (unknown.length > 0) return unknown.map(({ name }) => `there is no ${name}`)
  const all = new Set(metrics.flatMap(({ name }) => recorded.has(name) ? ["job"] : labelsOf(name)))
  return [
    ...metrics.flatMap(({ labels, name }) =>
      labels.filter((label) => !labelsOf(name).includes(label)).map((label) => `${name} has no ${label}`)
    ),
    ...[...grouping, ...[...legend.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label]) => label!)]
      .filter((label) => !all.has(label)).map((label) => `nothing has ${label} in ${expression}`)
  ]
}

describe("what alerts and dashboards ask for", () => {
  it("is in the catalogue, with its labels", () => {
    for (const { alert, expr, record } of rules) expect(wrongWith(expr), alert ?? record!).toEqual([])
    for (const { file, panels } of dashboards) {
      for (const { targets = [], title } of panels) {
        for (const { expr, legendFormat } of targets) {
          expect(wrongWith(expr, legendFormat), `${file}, ${title}`).toEqual([])
        }
      }
    }
  })

  it("would be found out if it were not", () => {
    expect(wrongWith("rate(http_requests_totals[5m])")).toEqual(["there is no http_requests_totals"])
    expect(wrongWith("rate(http_requests_total{code=\"200\"}[5m])")).toEqual(["http_requests_total has no code"])
    expect(wrongWith("sum by (route) (rate(http_requests_total[5m]))")[0]).toMatch(/^nothing has route/)
    expect(wrongWith("http_requests_total", "{{route}}")[0]).toMatch(/^nothing has route/)
    expect(wrongWith("rate(http_server_request_duration_seconds[5m])")[0]).toMatch(/^there is no/)
  })

  it("names values of closed labels that there are", () => {
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...dashboards.flatMap(({ panels }) => panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)))
    ]
    const matched = expressions.flatMap((expr) => Array.from(expr.matchAll(/([a-z_]+)\{([^}]*)\}/g)))
    let seen = 0
    for (const [, name, matchers] of matched) {
      const values = catalogue[entryOf(name!) ?? ""]?.values ?? {}
      for (const [, label, text] of matchers!.matchAll(/(\w+)=~?"([^"]*)"/g)) {
        const allowed = values[label!]
        if (allowed === undefined) continue
        seen++
        for (const value of text!.split("|")) expect(allowed, `${name} ${label}`).toContain(value)
      }
    }
    expect(seen).toBeGreaterThan(3)
  })

  it.live("is on the running server", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ OTEL_TRACES_SAMPLER: "always_on" })
      yield* setFaults(server, { error_rate: 0.5 })
      yield* Effect.all(
        Array.from(
          { length: 20 },
          (_, index) => chat(server, { message: "Hello?", stream: index % 2 === 0 }, unlimited)
        ),
        { concurrency: 5 }
      )
      const samples = samplesIn((yield* request(server, "/metrics")).text)
      const names = new Set([...samples.keys()].map((series) => series.slice(0, series.indexOf("{"))))
      const asked = new Set([
        ...rules.flatMap(({ expr }) => askedBy(expr).metrics),
        ...dashboards.flatMap(({ panels }) =>
          panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => askedBy(expr).metrics))
        )
      ].map(({ name }) => name))
      // These have no series before what they tell of has happened, or are of parts that this server does not have.
      const rare = new Set([
        "cache_requests_total",
        "http_server_client_aborts_total",
        "metrics_cardinality_overflow_total",
        "metrics_invalid_updates_total",
        "resilience_fallback_served_total",
        "up"
      ])
      const missing = [...asked].filter((name) => !names.has(name) && !recorded.has(name) && !rare.has(name))
      expect(missing).toEqual([])
    }).pipe(Effect.scoped), 60_000)
})

describe("runbooks", () => {
  it("have a section for every alert, and none for what is no alert", () => {
    const text = readFileSync(join(root, "docs", "runbooks", "alerts.md"), "utf8")
    const sections = [...text.matchAll(/^## (\w+)$/gm)].map(([, title]) => title!)
    expect(sections.toSorted()).toEqual(alerts.map(({ alert }) => alert!).toSorted())
    for (const { alert, annotations } of alerts) {
      expect(annotations?.runbook_url).toBe(`docs/runbooks/alerts.md#${alert!.toLowerCase()}`)
    }
  })
})
