/** Reads Prometheus's text format by its grammar, and refuses what the grammar or the rules refuse. */

export interface Exposition {
  readonly types: ReadonlyMap<string, string>
  /** Value by series, the labels sorted by name. */
  readonly samples: ReadonlyMap<string, number>
}

const header = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n]*)$/
const sample =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([^ ]+)(?: # \{.*\} [^ ]+ [^ ]+)?$/
const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/g

export const parse = (text: string): Exposition => {
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of text.split("\n")) {
    if (line === "" || line === "# EOF") continue
    const head = header.exec(line)
    if (head !== null) {
      const [, kind, name, rest] = head
      if (kind === "TYPE" && types.has(name!)) throw new Error(`${name} has two types`)
      if (kind === "TYPE") types.set(name!, rest!)
      continue
    }
    const found = sample.exec(line)
    if (found === null) throw new Error(`not readable: ${line}`)
    const [, name, labels = "", value] = found
    const pairs = [...labels.matchAll(pair)].map(([, label, value]) => [label!, value!] as const)
    if (new Set(pairs.map(([label]) => label)).size !== pairs.length) throw new Error(`a label twice: ${line}`)
    const kept = pairs.filter(([, value]) => value !== "").toSorted(([a], [b]) => a < b ? -1 : 1)
    const key = `${name}{${kept.map(([label, value]) => `${label}=${value}`).join(",")}}`
    if (samples.has(key)) throw new Error(`a series twice: ${line}`)
    samples.set(key, value === "+Inf" ? Infinity : value === "-Inf" ? -Infinity : Number(value))
  }
  return { types, samples }
}
