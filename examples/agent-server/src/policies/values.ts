/** What the sections of the document come to on this server, or everything that is wrong with them. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import type * as Policy from "effect-resilience/Policy"
import * as Duration from "effect/Duration"
import * as Limits from "../limits/limits.ts"
import type { Provider } from "../providers/settings.ts"
import { type Dependency, modelProviders, parts, providers, type Sections } from "./document.ts"

/** What the environment says of the same; it wins over the document. */
export interface Overrides {
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly usdPerDay?: number | undefined
  readonly providerConcurrency?: number | undefined
  readonly agentRequestsPerMinute?: number | undefined
  readonly healthInterval?: Duration.Duration | undefined
  readonly autoRedrive?: Duration.Duration | undefined
}

/** What the environment decides, and no document can change. */
export interface Surroundings {
  readonly kind: Provider["_tag"]
  /** The providers that it gives models. */
  readonly models: ReadonlyArray<Dependency>
  readonly overrides: Overrides
}

/** The figures in force. */
export interface Values extends Pick<Sections, "turns" | "models" | "voice"> {
  readonly chain: Omit<Sections["chain"], "budget"> & { readonly budget: FallbackChain.Budget }
  readonly replies: Pick<Sections["replies"], "ttl" | "staleIfError" | "apology"> & {
    readonly canned: ReturnType<typeof FallbackChain.patterns>
  }
  readonly limits: Limits.Limits
  readonly health: Sections["health"]
  readonly letters: Omit<Sections["letters"], "autoRedrive"> & {
    /** `every` is `undefined`: never. */
    readonly autoRedrive: {
      readonly every: Duration.Duration | undefined
      readonly rate: number
      readonly concurrency: number
    }
  }
}

/** With what the environment says. What is wrong with it goes to `problems`. */
export const valuesOf = (
  sections: Sections,
  { kind, models, overrides }: Surroundings,
  problems: Array<Policy.Problem>
): Values => {
  const { chain, health, letters, limits, replies } = sections
  const isReal = kind === "Real"
  checkRoutes(chain.routes, models, problems)
  if (sections.turns.deadlines.attempt > sections.turns.deadlines.models) {
    problems.push({ path: "turns.deadlines.attempt", message: "An attempt has more time than all models together" })
  }
  for (const [path, { base, cap }] of [["chain", chain.cooldown], ["voice", sections.voice.cooldown]] as const) {
    if (Duration.isGreaterThan(base, cap)) {
      problems.push({ path: `${path}.cooldown.base`, message: "It begins with more than its cap" })
    }
  }
  const { usd, ...budget } = chain.budget
  const { every, ...pace } = letters.autoRedrive
  return {
    ...sections,
    chain: {
      ...chain,
      budget: { ...budget, limit: overrides.usdPerDay ?? (isReal ? usd.real : usd.simulated) }
    },
    replies: { ...replies, canned: cannedOf(replies.patterns, problems) },
    limits: Limits.limitsOf(limits, isReal ? limits.providers.real : limits.providers.simulated, overrides),
    health: { ...health, interval: overrides.healthInterval ?? health.interval },
    letters: {
      ...letters,
      autoRedrive: { ...pace, every: overrides.autoRedrive ?? (every === "never" ? undefined : every) }
    }
  }
}

const checkRoutes = (
  routes: ReadonlyArray<Dependency>,
  models: ReadonlyArray<Dependency>,
  problems: Array<Policy.Problem>
): void => {
  routes.forEach((route, index) => {
    if (routes.indexOf(route) !== index) {
      problems.push({ path: `chain.routes[${index}]`, message: `"${route}" is a route already` })
    }
  })
  if (!routes.some((route) => models.includes(route))) {
    problems.push({
      path: "chain.routes",
      message: `The environment gives none of them a model; there are models of ${models.join(", ")}`
    })
  }
}

const cannedOf = (patterns: Sections["replies"]["patterns"], problems: Array<Policy.Problem>) =>
  FallbackChain.patterns(patterns.flatMap(({ match, reply }, index) => {
    try {
      return [[new RegExp(match, "i"), reply] as const]
    } catch (error) {
      problems.push({
        path: `replies.patterns[${index}].match`,
        message: error instanceof Error ? error.message : String(error)
      })
      return []
    }
  }))

/** The policies of providers, with what the environment says of them. */
export const overridden = (policies: string, { providerConcurrency }: Overrides): string => {
  if (providerConcurrency === undefined) return policies
  // The library has put it into JSON, and has checked what it says.
  const document = JSON.parse(policies) as Policy.Document
  const limited = modelProviders.map((name) => {
    const policy = document.policies[name]
    return [name, { ...policy, bulkhead: { ...policy?.bulkhead, limit: providerConcurrency } }]
  })
  return JSON.stringify({ policies: { ...document.policies, ...Object.fromEntries(limited) } })
}

/** Each provider has a policy with a breaker and retries, a model's a bulkhead as well; there are no others. */
export const providerProblems = (policies: string): ReadonlyArray<Policy.Problem> => {
  // The library has put it into JSON.
  const { policies: given } = JSON.parse(policies) as { readonly policies?: unknown }
  if (!isRecord(given)) return []
  const known: ReadonlyArray<string> = providers
  const strange = Object.keys(given).filter((name) => !known.includes(name)).map((name) => ({
    path: `policies.${name}`,
    message: `There is no such provider. There are: ${providers.join(", ")}`
  }))
  return [...strange, ...providers.flatMap((name) => partProblems(name, given[name]))]
}

const partProblems = (name: (typeof providers)[number], policy: unknown): ReadonlyArray<Policy.Problem> => {
  const needed = modelProviders.some((provider) => provider === name) ? [...parts] : ["breaker", "retry"]
  if (policy === undefined) return [{ path: `policies.${name}`, message: "This provider has no policy" }]
  if (!isRecord(policy)) return []
  return [
    ...needed.filter((part) => !(part in policy)).map((part) => ({
      path: `policies.${name}.${part}`,
      message: "A provider needs it"
    })),
    ...Object.keys(policy).filter((part) => !parts.has(part)).map((part) => ({
      path: `policies.${name}.${part}`,
      message: `Providers have no such part here. They have: ${[...parts].join(", ")}`
    }))
  ]
}

const isRecord = (data: unknown): data is Readonly<Record<string, unknown>> =>
  typeof data === "object" && data !== null && !Array.isArray(data)
