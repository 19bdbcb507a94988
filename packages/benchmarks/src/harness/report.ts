/** Results as a page of Markdown. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { arch, cpus, platform } from "node:os"
import { dirname, join } from "node:path"
import type { Figures, Result } from "./compare.ts"
import type { Scenario, Seen } from "./scenario.ts"

/** A scenario that was played through. */
export interface Story {
  readonly scenario: Scenario
  readonly seen: ReadonlyArray<Seen>
}

const nanos = (value: number): string => value >= 100 ? String(Math.round(value)) : value.toFixed(1)

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const section = ({ comparison, figures, floor, repeated, rounds, targets }: Result): string => {
  const ours = figures[0]!
  const line = ({ max, median, min, name }: Figures) =>
    row([name, nanos(median), nanos(min), nanos(max), (ours.median / median).toFixed(2)])
  return [
    `## ${comparison.title}`,
    "",
    `${comparison.call} ${rounds} rounds, ${repeated} repeated because the floor had moved.`,
    "",
    row(["", "median ns", "min", "max", "ours to it"]),
    row(["---", "---", "---", "---", "---"]),
    ...figures.map(line),
    line(floor),
    "",
    ...targets.map(({ against, atMost, ratio, reached }) =>
      `- ${ratio.toFixed(2)} x ${against}, to reach ${atMost} or less: **${reached ? "reached" : "not reached"}**`
    ),
    ""
  ].join("\n")
}

const storySection = ({ scenario, seen }: Story): string =>
  [
    `## ${scenario.title}`,
    "",
    scenario.story,
    "",
    row(["", "seen", "wanted"]),
    row(["---", "---", "---"]),
    ...seen.map(({ value, wanted, what }) =>
      row([
        what,
        value,
        wanted === undefined ? "" : `${wanted.value}: **${wanted.reached ? "reached" : "not reached"}**`
      ])
    ),
    ""
  ].join("\n")

/** The version of a package that is installed here. Some hide their manifest, so it is looked for from their entry upward. */
const versionOf = (name: string): string => {
  const require = createRequire(import.meta.url)
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
      if (manifest.name === name) return String(manifest.version)
    } catch {
      // Not in this folder.
    }
  }
  return "?"
}

/** A page about these results. `command` is what makes it anew. */
export const page = (
  title: string,
  results: ReadonlyArray<Result>,
  stories: ReadonlyArray<Story>,
  options: { readonly command: string; readonly peers: ReadonlyArray<string>; readonly notes: string }
): string => {
  const [cpu] = cpus()
  return [
    `# ${title}`,
    "",
    `Written by \`${options.command}\`, never by hand.${
      results.length === 0 ? "" : " All sides of a comparison ran in the same process, in alternating rounds."
    }`,
    "",
    `- ${new Date().toISOString().slice(0, 10)}, ${platform()} ${arch()}, ${cpus().length} x ${
      cpu?.model.trim() ?? "?"
    }`,
    `- Node ${process.versions.node}, ${options.peers.map((name) => `${name} ${versionOf(name)}`).join(", ")}`,
    "",
    ...(options.notes === "" ? [] : [options.notes, ""]),
    ...results.map(section),
    ...stories.map(storySection)
  ].join("\n")
}
