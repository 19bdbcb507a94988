/** A line of the log for people: the same as in JSON, in the form `key=value`. */

/** Fields that are said first, or that say to people what they know. */
const said = new Set(["ts", "level", "msg", "service", "version", "error"])

/** Lines of JSON, each as a line of text. What is no JSON stays as it is. */
export const textOf = (lines: string): string => lines.split("\n").map(lineOf).join("\n")

const lineOf = (line: string): string => {
  if (line === "") return ""
  try {
    // The log's own lines are objects.
    const entry = JSON.parse(line) as Readonly<Record<string, unknown>>
    const pairs = Object.entries(entry).filter(([key]) => !said.has(key) && !(key === "logger" && entry[key] === "app"))
    const head = [entry["ts"], String(entry["level"]).padEnd(5), entry["msg"]].join(" ")
    return [head, ...pairs.map(([key, value]) => `${key}=${bare(value)}`), ...errorOf(entry["error"])].join(" ")
  } catch {
    return line
  }
}

/** A value in a line of text: quoted only where it has to be. */
const bare = (value: unknown): string =>
  typeof value === "string" && /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)

const errorOf = (error: unknown): ReadonlyArray<string> => {
  if (typeof error !== "object" || error === null) return error === undefined ? [] : [`error=${bare(error)}`]
  const { message, stack, type } = error as { readonly [key: string]: unknown }
  return [`error=${bare(stack ?? `${String(type)}: ${String(message)}`)}`]
}
