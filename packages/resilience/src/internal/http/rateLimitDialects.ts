/** How each dialect writes limits, and how it is read. Times are milliseconds here. */
import * as Duration from "effect/Duration"
import type { Dialect, Quota, Told } from "../../http/RateLimitHeaders.ts"
import { type Bare, formatString, type Item, parseDictionary, parseList } from "./structuredField.ts"
import * as Times from "./times.ts"

export type Headers = Readonly<Record<string, string | undefined>>
type Written = Record<string, string>

// -----------------------------------------------------------------------------
// Writing
// -----------------------------------------------------------------------------

/** The largest integer of a structured field. */
const most = 999_999_999_999_999

/** Rounded down: nobody is told of more than there is. */
const amount = (value: number | undefined): string | undefined =>
  value === undefined || Number.isNaN(value) ? undefined : String(Math.min(Math.max(Math.floor(value), 0), most))

/** A time that no header has the digits for is one that never comes, and is left out. */
const millisOf = (duration: Duration.Duration | undefined): number | undefined => {
  if (duration === undefined) return undefined
  const millis = Duration.toMillis(duration)
  return millis >= 0 && millis <= most ? millis : undefined
}

/** Whole seconds, rounded up: nobody is told to come too early. */
const seconds = (duration: Duration.Duration | undefined): string | undefined => {
  const millis = millisOf(duration)
  return millis === undefined ? undefined : String(Math.ceil(millis / 1000))
}

const set = (into: Written, name: string, value: string | undefined): void => {
  if (value !== undefined) into[name] = value
}

/** The quota that a caller meets first: the least remaining, and of equals the last to reset. */
const tightest = (quotas: ReadonlyArray<Quota>): Quota | undefined => {
  let found: Quota | undefined
  for (const quota of quotas) {
    if (found === undefined) found = quota
    else {
      const [less, than] = [quota.remaining ?? Infinity, found.remaining ?? Infinity]
      const later = (millisOf(quota.resetAfter) ?? 0) > (millisOf(found.resetAfter) ?? 0)
      if (less < than || (less === than && later)) found = quota
    }
  }
  return found
}

const byUnit = (quotas: ReadonlyArray<Quota>): ReadonlyArray<readonly [unit: string, quota: Quota]> => {
  const groups = new Map<string, Array<Quota>>()
  for (const quota of quotas) {
    const unit = quota.unit.toLowerCase()
    if (!/^[a-z][a-z0-9_-]*$/.test(unit)) continue
    const group = groups.get(unit)
    if (group === undefined) groups.set(unit, [quota])
    else group.push(quota)
  }
  return Array.from(groups, ([unit, group]) => [unit, tightest(group)!])
}

const writeX = (epoch: boolean) => (into: Written, quotas: ReadonlyArray<Quota>, now: number): void => {
  const requests = quotas.filter(({ unit }) => unit === "requests")
  const quota = tightest(requests.length > 0 ? requests : quotas)
  if (quota === undefined) return
  set(into, "x-ratelimit-limit", amount(quota.limit))
  set(into, "x-ratelimit-remaining", amount(quota.remaining))
  const millis = millisOf(quota.resetAfter)
  if (millis === undefined) return
  into["x-ratelimit-reset"] = String(Math.ceil((epoch ? now + millis : millis) / 1000))
}

const writeDraft = (into: Written, quotas: ReadonlyArray<Quota>): void => {
  const limits: Array<string> = []
  const policies: Array<string> = []
  for (const quota of quotas) {
    const name = formatString(quota.name)
    const limit = amount(quota.limit)
    const remaining = amount(quota.remaining)
    const reset = seconds(quota.resetAfter)
    const window = seconds(quota.window)
    if (limit !== undefined) {
      const unit = quota.unit === "requests" ? "" : `;qu=${formatString(quota.unit)}`
      policies.push(`${name};q=${limit}${unit}${window === undefined ? "" : `;w=${window}`}`)
    }
    if (remaining !== undefined) limits.push(`${name};r=${remaining}${reset === undefined ? "" : `;t=${reset}`}`)
  }
  if (limits.length > 0) into["ratelimit"] = limits.join(", ")
  if (policies.length > 0) into["ratelimit-policy"] = policies.join(", ")
}

const writeOpenAi = (into: Written, quotas: ReadonlyArray<Quota>): void => {
  for (const [unit, quota] of byUnit(quotas)) {
    set(into, `x-ratelimit-limit-${unit}`, amount(quota.limit))
    set(into, `x-ratelimit-remaining-${unit}`, amount(quota.remaining))
    const millis = millisOf(quota.resetAfter)
    if (millis !== undefined) into[`x-ratelimit-reset-${unit}`] = Times.formatGoDuration(millis)
  }
}

const writeAnthropic = (into: Written, quotas: ReadonlyArray<Quota>, now: number): void => {
  for (const [unit, quota] of byUnit(quotas)) {
    set(into, `anthropic-ratelimit-${unit}-limit`, amount(quota.limit))
    set(into, `anthropic-ratelimit-${unit}-remaining`, amount(quota.remaining))
    const millis = millisOf(quota.resetAfter)
    if (millis !== undefined) {
      set(into, `anthropic-ratelimit-${unit}-reset`, Times.formatTimestamp(Math.ceil(now + millis)))
    }
  }
}

export const writers: {
  readonly [D in Dialect]: (into: Written, quotas: ReadonlyArray<Quota>, now: number) => void
} = {
  "x-ratelimit": writeX(false),
  "x-ratelimit-epoch": writeX(true),
  ratelimit: writeDraft,
  openai: writeOpenAi,
  anthropic: writeAnthropic
}

// -----------------------------------------------------------------------------
// Reading
// -----------------------------------------------------------------------------

/** A quota of what was found; without a limit and a remainder there is none. */
const told = (
  dialect: Dialect,
  name: string,
  unit: string,
  found: {
    readonly limit: number | undefined
    readonly remaining: number | undefined
    readonly reset: number | undefined
    readonly window?: number | undefined
  }
): ReadonlyArray<Told> =>
  found.limit === undefined && found.remaining === undefined ? [] : [{
    dialect,
    name,
    unit,
    ...(found.limit === undefined ? undefined : { limit: found.limit }),
    ...(found.remaining === undefined ? undefined : { remaining: found.remaining }),
    ...(found.reset === undefined ? undefined : { resetAfter: Duration.millis(found.reset) }),
    ...(found.window === undefined ? undefined : { window: Duration.millis(found.window) })
  }]

/** Seconds beyond this are no time to wait, 31 years, but a point in time; a thousand times as many are its milliseconds. */
const earliestEpoch = 1e9

/** `[dialect, milliseconds from now]` of a reset that may be seconds from now or seconds since the epoch. */
const resetOf = (value: string | undefined, now: number): readonly [Dialect, number | undefined] => {
  const found = Times.number(value)
  if (found === undefined || found < earliestEpoch) {
    return ["x-ratelimit", found === undefined ? undefined : found * 1000]
  }
  const at = found < earliestEpoch * 1000 ? found * 1000 : found
  return ["x-ratelimit-epoch", Math.max(0, at - now)]
}

/** `60`, and also `60, 60;w=60` as the first drafts had it. */
const limitOf = (value: string | undefined) => {
  const plain = Times.number(value)
  if (value === undefined || plain !== undefined) return { limit: plain, window: undefined }
  const members = parseList(value) ?? []
  const window = members.map(({ parameters }) => natural(parameters.get("w"))).find((w) => w !== undefined)
  return { limit: natural(members[0]?.value), window: window === undefined ? undefined : window * 1000 }
}

const readX = (headers: Headers, now: number): ReadonlyArray<Told> => {
  for (const prefix of ["x-ratelimit", "x-rate-limit", "ratelimit"]) {
    const [dialect, reset] = resetOf(headers[`${prefix}-reset`], now)
    const quotas = told(dialect, "default", "requests", {
      ...limitOf(headers[`${prefix}-limit`]),
      remaining: Times.number(headers[`${prefix}-remaining`]),
      reset
    })
    if (quotas.length > 0) return quotas
  }
  return []
}

const natural = (value: Bare | undefined): number | undefined =>
  value?._tag === "Number" && value.value >= 0 ? value.value : undefined

const nameOf = ({ value }: Item): string | undefined =>
  value._tag === "String" || value._tag === "Token" ? value.value : undefined

const toMillis = (seconds: number | undefined): number | undefined => seconds === undefined ? undefined : seconds * 1000

/** The draft as it is now: two lists, in which a policy and how it stands go by the same name. */
const readDraft = (limits: ReadonlyArray<Item>, policies: ReadonlyArray<Item>): ReadonlyArray<Told> => {
  const names = new Set([...policies, ...limits].map(nameOf).filter((name) => name !== undefined))
  return Array.from(names).flatMap((name) => {
    const policy = policies.find((item) => nameOf(item) === name)?.parameters
    const limit = limits.find((item) => nameOf(item) === name)?.parameters
    const unit = policy?.get("qu")
    return told("ratelimit", name, unit?._tag === "String" ? unit.value : "requests", {
      limit: natural(policy?.get("q")),
      remaining: natural(limit?.get("r")),
      reset: toMillis(natural(limit?.get("t"))),
      window: toMillis(natural(policy?.get("w")))
    })
  })
}

/** The draft up to number 7, which many servers still write: `limit=60, remaining=59, reset=30` and `60;w=60`. */
const readDraft7 = (limit: ReadonlyMap<string, Item>, policies: ReadonlyArray<Item>): ReadonlyArray<Told> => {
  const quota = natural(limit.get("limit")?.value)
  const policy = quota === undefined ? undefined : policies.find(({ value }) => natural(value) === quota)
  return told("ratelimit", "default", "requests", {
    limit: quota,
    remaining: natural(limit.get("remaining")?.value),
    reset: toMillis(natural(limit.get("reset")?.value)),
    window: toMillis(natural(policy?.parameters.get("w")))
  })
}

const readDrafts = (headers: Headers): ReadonlyArray<Told> => {
  const policies = parseList(headers["ratelimit-policy"] ?? "") ?? []
  const text = headers["ratelimit"] ?? ""
  const limits = parseList(text)
  return limits === undefined
    ? readDraft7(parseDictionary(text) ?? new Map(), policies)
    : readDraft(limits, policies)
}

/** Groups headers by the unit in their names: `pattern` has the groups `unit` and `what`. */
const groupByUnit = (headers: Headers, pattern: RegExp): ReadonlyMap<string, Headers> => {
  const units = new Map<string, Record<string, string>>()
  for (const [header, value] of Object.entries(headers)) {
    const { unit, what } = pattern.exec(header)?.groups ?? {}
    if (unit === undefined || what === undefined || value === undefined) continue
    const found = units.get(unit)
    if (found === undefined) units.set(unit, { [what]: value })
    else found[what] = value
  }
  return units
}

const openAi = /^x-ratelimit-(?<what>limit|remaining|reset)-(?<unit>[a-z][a-z0-9_-]*)$/

const readOpenAi = (headers: Headers): ReadonlyArray<Told> =>
  Array.from(groupByUnit(headers, openAi)).flatMap(([unit, found]) =>
    told("openai", unit, unit, {
      limit: Times.number(found["limit"]),
      remaining: Times.number(found["remaining"]),
      // Others who speak this dialect write plain seconds.
      reset: Times.goDuration(found["reset"]) ?? toMillis(Times.number(found["reset"]))
    })
  )

const anthropic = /^anthropic-ratelimit-(?<unit>[a-z][a-z0-9_-]*)-(?<what>limit|remaining|reset)$/

const readAnthropic = (headers: Headers, now: number): ReadonlyArray<Told> =>
  Array.from(groupByUnit(headers, anthropic)).flatMap(([unit, found]) => {
    const at = Times.timestamp(found["reset"])
    return told("anthropic", unit, unit, {
      limit: Times.number(found["limit"]),
      remaining: Times.number(found["remaining"]),
      reset: at === undefined ? undefined : Math.max(0, at - now)
    })
  })

export const read = (headers: Headers, now: number): ReadonlyArray<Told> => [
  ...readDrafts(headers),
  ...readX(headers, now),
  ...readOpenAi(headers),
  ...readAnthropic(headers, now)
]
