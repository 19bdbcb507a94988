/** Letters, reports and progress as text for people. */
import type { Failure, Letter, OpenedLetter, Report } from "./Operator.ts"

/** Columns as wide as their widest cell, the last one as it is. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
}

/** What came from outside must not move the cursor, or look like another line. */
export const plain = (text: string): string => text.replace(/\p{Cc}+/gu, " ")

const codeOf = ({ code, kind }: Failure): string => code === null ? kind : `${kind} ${plain(code)}`

/** A line for each letter. */
export const letters = (all: ReadonlyArray<Letter>): ReadonlyArray<string> =>
  table([
    ["ID", "STATE", "FAILED AT", "KIND", "MESSAGE"],
    ...all.map(({ failed_at, failure, id, state }) => [
      id,
      state,
      failed_at,
      codeOf(failure),
      plain(failure.message).slice(0, 100)
    ])
  ])

/** Everything that is known of a letter. */
export const letter = (opened: OpenedLetter): ReadonlyArray<string> => [
  ...table([
    ["id", opened.id],
    ["state", opened.reason === null ? opened.state : `${opened.state}: ${plain(opened.reason.message)}`],
    ["failed at", opened.failed_at],
    ["failure", `${codeOf(opened.failure)}: ${plain(opened.failure.message)}`],
    ["fingerprint", opened.fingerprint],
    ["offered", opened.occurrences === 1 ? "once" : `${opened.occurrences} times`],
    [
      "redrives",
      `${opened.claims}, of which ${opened.attempts.delivered} failed, ${opened.attempts.interrupted} were interrupted, `
      + `${opened.attempts.crashed} crashed`
    ],
    ["trace", opened.trace === null ? "none" : opened.trace.trace_id]
  ]),
  "",
  "payload",
  ...indented(
    opened.unreadable === null
      ? JSON.stringify(opened.payload, undefined, 2)
      : `cannot be read: ${plain(opened.unreadable.detail)}`
  ),
  "causes",
  ...opened.causes.map((cause) => `  ${plain(cause)}`),
  ...(opened.source_attempts.length === 0 ? [] : ["attempts"]),
  ...opened.source_attempts.map(({ at, failure }) => `  ${at}  ${codeOf(failure)}: ${plain(failure.message)}`),
  "history",
  ...opened.history.map(({ at, event, failure, note }) =>
    `  ${at}  ${event}${failure === null ? "" : `  ${codeOf(failure)}: ${plain(failure.message)}`}${
      note === null ? "" : `  ${plain(note)}`
    }`
  )
]

const indented = (text: string): ReadonlyArray<string> => text.split("\n").map((line) => `  ${line}`)

/** A queue in numbers. */
export const report = ({ ages, fingerprints, kinds, oldest, states, total }: Report): ReadonlyArray<string> => [
  `${total} ${total === 1 ? "letter" : "letters"}${oldest === null ? "" : `, the oldest open one of ${oldest}`}`,
  "",
  ...counts("STATE", states),
  ...counts("KIND", kinds),
  ...(fingerprints.length === 0 ? [] : table([
    ["FINGERPRINT", "LETTERS", "LATEST", "MESSAGE"],
    ...fingerprints.map(({ count, failure, fingerprint, newest }) => [
      fingerprint,
      String(count),
      newest,
      plain(failure.message).slice(0, 80)
    ])
  ])),
  "",
  ...table([
    ["AGE", "LETTERS"],
    ...ages.map(({ below_ms, count }) => [
      below_ms === null ? "older" : `under ${inWords(below_ms)}`,
      String(count)
    ])
  ])
]

const counts = (title: string, numbers: Readonly<Record<string, number>>): ReadonlyArray<string> => [
  ...table([[title, "LETTERS"], ...Object.entries(numbers).map(([name, count]) => [name, String(count)])]),
  ""
]

const units = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]] as const

const inWords = (millis: number): string => {
  const [unit, length] = units.find(([, length]) => millis >= length) ?? ["minute", 60_000]
  const count = Math.round(millis / length)
  return `${count} ${unit}${count === 1 ? "" : "s"}`
}

/** The outcomes that there are any of: "3 redriven, 1 failed". */
export const outcomes = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${count} ${name}`).join(", ") ||
  "none"
