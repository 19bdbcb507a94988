/** Families as text: Prometheus's format 0.0.4, or OpenMetrics 1.0.0 with exemplars. */
import type { Exemplar } from "../exemplar.ts"
import { cleanHelp } from "./clean.ts"
import type { CollectedFamily } from "./collect.ts"
import type { HistogramValue, SummaryValue } from "./merge.ts"

export type Format = "text" | "openMetrics"

export const contentType: { readonly [format in Format]: string } = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
}

export const render = (families: ReadonlyArray<CollectedFamily>, format: Format): string => {
  const lines: Array<string> = []
  const names = new Set(families.map(({ name }) => name))
  for (const family of families) {
    const { help, name } = family
    const { announced, type } = heading(family, names, format)
    if (help !== undefined && help !== "") {
      lines.push(`# HELP ${announced} ${cleanHelp(help, format === "openMetrics")}`)
    }
    lines.push(`# TYPE ${announced} ${type}`)
    for (const [labels, value] of family.series) {
      if (value.type === "histogram") histogram(name, labels, value, format, lines)
      else if (value.type === "summary") summary(name, labels, value, lines)
      else {lines.push(
          sample(name, labels, number(value.value)) + (type === "counter" ? exemplar(value.exemplar, format) : "")
        )}
    }
  }
  if (format === "openMetrics") lines.push("# EOF")
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`
}

/**
 * OpenMetrics calls a counter `x` whose sample is `x_total`. A counter called otherwise would change its name with the format,
 * and one whose `x` is another family's would be two; both are announced as of unknown type and keep their names.
 */
const heading = (
  { name, type }: CollectedFamily,
  names: ReadonlySet<string>,
  format: Format
): { readonly announced: string; readonly type: string } => {
  if (format === "text" || type !== "counter") return { announced: name, type }
  const base = name.replace(/_total$/, "")
  return base === name || base === "" || names.has(base)
    ? { announced: name, type: "unknown" }
    : { announced: base, type }
}

const sample = (name: string, labels: string, value: string): string =>
  labels === "" ? `${name} ${value}` : `${name}{${labels}} ${value}`

const histogram = (name: string, labels: string, value: HistogramValue, format: Format, lines: Array<string>) => {
  const before = labels === "" ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`
  const { buckets, count, exemplars, sum } = value
  for (const [index, [bound, cumulated]] of buckets.entries()) {
    lines.push(`${before}${number(bound)}"} ${number(cumulated)}${exemplar(exemplars[index], format)}`)
  }
  lines.push(`${before}+Inf"} ${number(count)}${exemplar(exemplars[buckets.length], format)}`)
  lines.push(sample(`${name}_sum`, labels, number(sum)), sample(`${name}_count`, labels, number(count)))
}

const summary = (name: string, labels: string, { count, quantiles, sum }: SummaryValue, lines: Array<string>) => {
  for (const [quantile, value] of quantiles) {
    if (value === undefined) continue
    lines.push(sample(name, `${labels === "" ? "" : `${labels},`}quantile="${number(quantile)}"`, number(value)))
  }
  lines.push(sample(`${name}_sum`, labels, number(sum)), sample(`${name}_count`, labels, number(count)))
}

/** Ids come from whoever started the trace; others than hexadecimal ones are not worth a scrape. */
const isId = (id: string): boolean => /^[0-9a-f]{1,32}$/.test(id)

const exemplar = (exemplar: Exemplar | undefined, format: Format): string => {
  if (format === "text" || exemplar === undefined || !isId(exemplar.traceId) || !isId(exemplar.spanId)) return ""
  const { spanId, time, traceId, value } = exemplar
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${(time / 1000).toFixed(3)}`
}

/** What is no number, because whoever stored it had no types, is `NaN`. */
const number = (value: unknown): string => {
  if (value === Infinity) return "+Inf"
  if (value === -Infinity) return "-Inf"
  return typeof value === "number" || typeof value === "bigint" ? `${value}` : "NaN"
}
