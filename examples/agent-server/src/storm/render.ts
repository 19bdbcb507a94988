/** A verdict as text: for people, and as the page that is kept of it. */
import { table } from "../cli/render.ts"
import type { Row, Verdict } from "./verdict.ts"

const words: { readonly [S in Row["standing"]]: string } = {
  Reached: "reached",
  Missed: "MISSED",
  NotRun: "NOT RUN",
  Told: ""
}

const cells = (
  { figure, name, standing, target }: Row
): ReadonlyArray<string> => [name, figure, target, words[standing]]

const head = ["", "figure", "to reach", ""] as const

/** The rows, and what they come to. */
export const verdict = ({ passed, rows }: Verdict): ReadonlyArray<string> => [
  ...table([head, ...rows.map(cells)]),
  "",
  passed ? "The storm is over, and all figures were reached." : "The storm is over, and not all figures were reached."
]

/** What has to be known of a run beside its figures. */
export interface Circumstances {
  readonly command: string
  readonly machine: string
  readonly date: string
}

const line = (row: ReadonlyArray<string>): string => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

/** The page. */
export const page = ({ passed, rows }: Verdict, { command, date, machine }: Circumstances): string =>
  [
    "# The storm",
    "",
    `Written by \`${command}\`, never by hand.`,
    "",
    `- ${date}, ${machine}`,
    "",
    "Two instances of the agent server with one Redis and one PostgreSQL, each with its own simulated providers, all on this machine",
    "with the clients. From the first chat to the last each language model answers 20 % of its calls with 500 and 5 % with 429 and",
    "`Retry-After: 1`, and the primary leaves 2 % without an answer. Meanwhile the primary is away, Redis is, and each instance is",
    "restarted.",
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows.map((row) => line(cells(row))),
    "",
    `All figures reached: **${passed ? "yes" : "no"}**`,
    ""
  ].join("\n")
