/** Rules under a name, ready to be asked. */
import type { Rule } from "./rules.ts"

export const PolicyTypeId = "~effect-resilience/RateLimiter/Policy"

/**
 * A rule in its place: it has a name, and its state a table.
 *
 * @category models
 * @since 0.1.0
 */
export interface PolicyRule extends Rule {
  readonly name: string
  /** Under what its states are kept. */
  readonly table: string
}

/**
 * Rules that decide together, made by `policy`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  readonly [PolicyTypeId]: typeof PolicyTypeId
  readonly name: string
  readonly rules: ReadonlyArray<PolicyRule>
  /** What a bare number of a cost counts: the one unit other than requests, or requests. `undefined`: there are several. */
  readonly bareUnit: string | undefined
}

const letters = {
  tokenBucket: "t",
  leakyBucket: "k",
  fixedWindow: "f",
  slidingWindow: "s",
  concurrency: "c"
} as const

export const make = (name: string, rules: ReadonlyArray<Rule>): Policy => {
  if (name === "") throw new RangeError("name must not be empty")
  if (rules.length === 0) throw new RangeError(`rules of policy "${name}" must not be empty`)
  const taken = new Set<string>()
  for (const { name: given } of rules) {
    if (given === undefined) continue
    if (taken.has(given)) {
      throw new RangeError(`rules of policy "${name}" must have different names, got "${given}" twice`)
    }
    taken.add(given)
  }
  const named = rules.map((rule): PolicyRule => {
    const found = rule.name ?? free(rule.algorithm, taken)
    taken.add(found)
    return { ...rule, name: found, table: tableOf(name, found, rule) }
  })
  const units = new Set(rules.map(({ unit }) => unit).filter((unit) => unit !== "requests"))
  return {
    [PolicyTypeId]: PolicyTypeId,
    name,
    rules: named,
    bareUnit: units.size === 0 ? "requests" : units.size === 1 ? [...units][0] : undefined
  }
}

const free = (name: string, taken: ReadonlySet<string>): string => {
  if (!taken.has(name)) return name
  let number = 2
  while (taken.has(`${name}-${number}`)) number++
  return `${name}-${number}`
}

/**
 * No two tables are a prefix of each other with a key behind, whatever the names hold: they carry their lengths. A state that another
 * algorithm wrote, or one that counts in other fractions, is not read: it would mean something else.
 */
const tableOf = (policy: string, rule: string, { algorithm, shape }: Rule): string =>
  `${letters[algorithm]}${Math.round(Math.log10(shape.scale))}.${policy.length}:${policy}${rule.length}:${rule}`
