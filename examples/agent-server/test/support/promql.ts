/** What a PromQL expression asks for, as far as names go. */

/** The metrics of an expression, each with the labels that are matched on it, and the labels that results are grouped by. */
export interface Asked {
  readonly metrics: ReadonlyArray<{ readonly name: string; readonly labels: ReadonlyArray<string> }>
  readonly grouping: ReadonlyArray<string>
}

const words = new Set([
  "and",
  "or",
  "unless",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "bool",
  "offset"
])
const clause = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g
const selector = /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:])/g

export const askedBy = (expression: string): Asked => {
  // What is in quotes is no name; neither is a duration.
  const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, "\"\"").replaceAll(/\[[^\]]*\]/g, "")
  const grouping = [...bare.matchAll(clause)].flatMap(([, labels]) => labels!.split(",").map((label) => label.trim()))
  const metrics = [...bare.replaceAll(clause, " ").matchAll(selector)].flatMap(([, name, matchers = ""]) =>
    words.has(name!)
      ? []
      : [{ name: name!, labels: [...matchers.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!) }]
  )
  return { metrics, grouping: grouping.filter((label) => label !== "") }
}
