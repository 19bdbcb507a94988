/**
 * Writes docs/reference/metrics.md from the catalogue of the metrics. `--check` writes nothing and fails where they differ.
 *
 *   node .config/metrics-doc.mjs [--check]
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { catalogue } from "../packages/resilience/src/internal/metrics/catalogue.ts"
import { root } from "./packages.mjs"

const file = join(root, "docs", "reference", "metrics.md")

const sections = [
  ["HTTP", /^(http|middleware|auth|load_shed)_/],
  ["Language models, transcription, speech", /^(gen_ai|llm|stt|tts)_/],
  ["Policies", /^resilience_/],
  ["Dead letters", /^dlq_/],
  ["Health and storage", /^(health|db_client|cache)_/],
  ["Process", /^(process|nodejs)_/],
  ["Sessions", /^(session|sessions)_/],
  ["Telemetry itself", /^(telemetry|logs|metrics|signals)_/]
]

const label = (name, values) => values?.[name] === undefined ? name : `${name} = ${values[name].join(" / ")}`

/** Columns as wide as their longest cell, which is how the formatter of Markdown has them. */
const table = (head, rows) => {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const row = ([name, { from, help, labels, type, unit, values }]) => [
  `\`${name}\``,
  type,
  unit,
  labels.map((each) => label(each, values)).join(", "),
  help,
  from === "application" ? "" : `\`${from}\``
]

const boundaries = (entries) => {
  const byBounds = new Map()
  for (const [name, { buckets }] of entries) {
    if (buckets === undefined) continue
    const text = buckets.join(", ")
    byBounds.set(text, [...byBounds.get(text) ?? [], `\`${name}\``])
  }
  return [...byBounds].map(([bounds, names]) => `- ${names.join(", ")}: ${bounds}`).join("\n")
}

const all = Object.entries(catalogue)
const missing = all.filter(([name]) => !sections.some(([, pattern]) => pattern.test(name)))
if (missing.length > 0) {
  console.error(`No section of docs/reference/metrics.md takes ${missing.map(([name]) => name).join(", ")}.`)
  process.exit(1)
}

const text = `# Metrics, by name

Written by \`node .config/metrics-doc.mjs\` from the catalogue in the code; \`Metrics.catalogue\` is the same as data.

Names are Prometheus names with base units; counters end in \`_total\`. A label with values after it has these and no others, and
its series exist at 0 before anything happened. The last column says who feeds a metric. Where it is empty nothing in these
packages does: the name is kept so that whoever feeds it, with \`Metrics.instrument(name)\`, uses the same one.

${
  sections.map(([title, pattern]) =>
    `## ${title}\n\n${
      table(
        ["metric", "type", "unit", "labels", "what", "fed by"],
        all.filter(([name]) => pattern.test(name)).map(row)
      )
    }`
  ).join("\n\n")
}

## Boundaries of the histograms

${boundaries(all)}
`

if (!process.argv.includes("--check")) {
  writeFileSync(file, text)
} else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/reference/metrics.md is not what the catalogue says: run node .config/metrics-doc.mjs")
  process.exit(1)
}
