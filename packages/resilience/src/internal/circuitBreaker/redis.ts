/** Steps of a circuit in Redis: the script, and how a policy and a request are put into its words. */
import * as Redis from "effect/persistence/Redis"
import type { Policy } from "./policy.ts"
import { machine } from "./redisMachine.ts"
import { type Rate, rulesOf } from "./trip.ts"

/** What the script does for; the words behind it are in the order of its arguments. */
export type Request =
  | readonly [operation: "admit", chance: number]
  | readonly [operation: "settle", permit: string, verdict: string, millis: number, hint: number]
  | readonly [operation: "command", command: string]
  | readonly [operation: "read"]
  | readonly [operation: "renew", ...permits: Array<string>]

/** Larger ones stand for infinity: they stay exact when a time is added, and Redis takes them as a time to live. */
const largest = 2 ** 50

const finite = (value: number): number => Math.min(value, largest)

/** The policy in the words of the script. `signature` tells one set of windows from another. */
export const encode = (
  policy: Policy,
  options: { readonly leaseMillis: number; readonly idleMillis: number }
): string => {
  const seen = new Map<string, number>()
  const rules = rulesOf(policy.trip).map((rule) => {
    const ordinal = seen.get(rule._tag) ?? 0
    seen.set(rule._tag, ordinal + 1)
    const id = `${rule._tag}${ordinal}`
    return rule._tag === "Consecutive"
      ? { id, tag: rule._tag, failures: rule.failures, form: "" }
      : encodeRate(id, rule)
  })
  return JSON.stringify({
    rules,
    signature: rules.map(({ form, id }) => `${id}=${form}`).join(";"),
    openFor: policy.openFor.map(finite),
    maxHint: finite(policy.maxHint),
    probes: policy.probes,
    needed: policy.needed,
    deadline: finite(policy.deadline),
    onDeadline: policy.onDeadline,
    ramp: policy.ramp?.steps ?? [],
    rampMillis: policy.ramp === undefined ? -1 : finite(policy.ramp.millis),
    cap: finite(policy.maxWhileUnhealthy),
    slowerThan: finite(policy.slowerThan),
    lease: finite(options.leaseMillis),
    idle: finite(options.idleMillis)
  })
}

const encodeRate = (id: string, { _tag: tag, minimumCalls, slowerThan, threshold, window }: Rate) => {
  const [size, width] = window._tag === "Calls" ? [window.calls, 0] : [window.buckets, window.millis / window.buckets]
  return {
    id,
    tag,
    form: `${size},${width}`,
    size,
    width,
    threshold,
    minimumCalls,
    slowerThan: finite(slowerThan ?? -1)
  }
}

/** Redis's own clock. Tests put another in its place. */
export const storeTime = `
local time = redis.call("TIME")
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
`

export const script = (time: string) =>
  Redis.script(
    (key: string, policy: string, request: Request) => [key, `${key}:l`, `${key}:p`, `${key}:w`, policy, ...request],
    { numberOfKeys: 4, lua: time + machine }
  ).withReturnType<ReadonlyArray<string | number>>()
