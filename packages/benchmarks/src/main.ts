/**
 * `pnpm bench [name ...]` measures and writes `docs/benchmarks/<name>.md`; without a name, all of them.
 * `pnpm bench --check [name ...]` measures, writes nothing, and fails where a ratio is not reached.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { compare, type Result } from "./harness/compare.ts"
import { page } from "./harness/report.ts"
import { pages } from "./rows/all.ts"

const folder = fileURLToPath(new URL("../../../docs/benchmarks", import.meta.url))

const options = process.argv.slice(2)
const isCheck = options.includes("--check")
const named = options.filter((option) => !option.startsWith("--"))
const unknown = named.filter((name) => pages[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(", ")}. There are: ${Object.keys(pages).join(", ")}.\n`)
  process.exit(1)
}

const tell = ({ comparison, figures, repeated, targets }: Result): void => {
  const lines = [
    `${comparison.title} (${repeated} rounds repeated)`,
    ...figures.map(({ max, median, min, name }) =>
      `  ${name.padEnd(32)} ${median.toFixed(1).padStart(9)} ns   ${min.toFixed(1)} to ${max.toFixed(1)}`
    ),
    ...targets.map(({ against, atMost, ratio, reached }) =>
      `  ${reached ? "reached    " : "NOT REACHED"} ${ratio.toFixed(3)} x ${against}, wanted ${atMost} or less`
    )
  ]
  process.stdout.write(`${lines.join("\n")}\n`)
}

let missed = 0
for (const name of named.length === 0 ? Object.keys(pages) : named) {
  const { comparisons, notes, peers, title } = pages[name]!
  const results: Array<Result> = []
  for (const comparison of comparisons) {
    const result = await compare(comparison)
    tell(result)
    missed += result.targets.filter(({ reached }) => !reached).length
    results.push(result)
  }
  if (isCheck) continue
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.md`), page(title, results, { command: `pnpm bench ${name}`, peers, notes }))
}
process.exit(isCheck && missed > 0 ? 1 : 0)
