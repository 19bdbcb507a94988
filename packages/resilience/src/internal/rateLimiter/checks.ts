/** What is asked of a limiter, made into a request to its store. */
import type { Policy, PolicyRule } from "./policy.ts"
import { maximumUnits, toUnits } from "./shape.ts"
import type { Entry, Subject } from "./store.ts"

/**
 * What a request costs.
 *
 * A bare number counts in the one unit of the policy that is not `"requests"`, or in requests where there is no other; a request is 1
 * request. A record says it unit by unit. What is left out or `undefined` is not known: 1 for requests, and for other units
 * `onUnknownCost` of the rule decides.
 *
 * @category models
 * @since 0.1.0
 */
export type Cost = number | { readonly [unit: string]: number | undefined }

/**
 * One scope of a request: a key under a policy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check<P = Policy> {
  readonly policy: P
  /** Whose limit: any text. */
  readonly key: string
  readonly cost?: Cost | undefined
}

/**
 * One scope or several: all of them have room, or nothing is taken.
 *
 * @category models
 * @since 0.1.0
 */
export type Checks<P = Policy> = Check<P> | ReadonlyArray<Check<P>>

/** An entry of a request, with the rule it is of. */
export interface Asking extends Entry {
  readonly rule: PolicyRule
  readonly unknownCost: boolean
}

export interface Asked {
  readonly entries: ReadonlyArray<Asking>
  readonly subjects: ReadonlyArray<Subject>
  /** By entry, what it is a rule of. */
  readonly policies: ReadonlyArray<Policy>
  /** Something is held, so something has to be settled. */
  readonly holds: boolean
}

/** `reserving`: everything is held until settled, not only leases. */
export const prepare = (
  checks: ReadonlyArray<Check>,
  reserving: boolean
): Asked => {
  const entries: Array<Asking> = []
  const subjects: Array<Subject> = []
  const policies: Array<Policy> = []
  let holds = false
  for (let index = 0; index < checks.length; index++) {
    const { cost, key, policy } = checks[index]!
    if (
      checks.length > 1 && checks.findIndex((other) => other.key === key && other.policy.name === policy.name) < index
    ) {
      throw new RangeError(`checks must name each key of a policy once, got "${policy.name}" twice for one key`)
    }
    subjects.push({ policy: policy.name, key })
    for (const rule of policy.rules) {
      const known = costOf(policy, rule, cost)
      const amount = known ?? (rule.onUnknownCost === "allow" ? 0 : rule.onUnknownCost)
      const { shape } = rule
      const lease = reserving || rule.algorithm === "concurrency" ? rule.lease : undefined
      if (lease !== undefined) holds = true
      policies.push(policy)
      entries.push({
        table: rule.table,
        key,
        policy: policy.name,
        shape,
        // A cost that is denied is more than there ever is.
        cost: amount === "deny" ? 2 * maximumUnits : Math.min(toUnits(amount, shape.scale), 2 * maximumUnits),
        shadow: rule.shadow,
        lease,
        rule,
        unknownCost: known === undefined
      })
    }
  }
  return { entries, subjects, policies, holds }
}

/** What a request costs under one rule; `undefined`: nobody knows. */
const costOf = (policy: Policy, rule: PolicyRule, cost: Cost | undefined): number | undefined =>
  said(policy, rule, cost) ?? (rule.unit === "requests" ? 1 : undefined)

/** What somebody says that it costs under one rule. */
export const said = (policy: Policy, rule: PolicyRule, cost: Cost | undefined): number | undefined => {
  const found = typeof cost === "object"
    ? cost[rule.unit]
    : cost === undefined || rule.unit === policy.bareUnit
    ? cost
    : policy.bareUnit === undefined
    ? ambiguous(policy, cost)
    : undefined
  if (found === undefined || found >= 0 && found < Infinity) return found
  throw new RangeError(`cost must be a finite number of at least 0, got ${found}`)
}

const ambiguous = (policy: Policy, cost: number): never => {
  throw new RangeError(`cost must name its units, as policy "${policy.name}" counts several, got ${cost}`)
}
