/** From text to policies as data: everything that is wrong is told at once. */
import * as Yaml from "effect/encoding/Yaml"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Problem } from "./errors.ts"
import { Config, type Document } from "./schema.ts"

/** More than this is no configuration but a mistake, and would keep the process busy for long. */
export const defaultMaxSize = 262_144

/** What could be read of a document, and what is wrong with the rest. */
export interface Read {
  readonly document: Document
  readonly problems: ReadonlyArray<Problem>
}

const nothing = (message: string, path = ""): Read => ({ document: { policies: {} }, problems: [{ path, message }] })

export const tooLarge = (maxSize: number): string => `The document is too large: more than ${maxSize} characters`

/** YAML, and so JSON, with all that is wrong in it. */
export const parse = (text: string, maxSize: number): Read => {
  const { document, problems } = read(text, maxSize)
  return { document, problems: [...problems, ...references(document)] }
}

const read = (text: string, maxSize: number): Read => {
  if (text.length > maxSize) return nothing(tooLarge(maxSize))
  if (text.trim() === "") return nothing("The document is empty")
  const data = valueOf(text)
  return Result.isFailure(data) ? nothing(`The document cannot be read: ${data.failure}`) : decode(data.success)
}

/**
 * The parts of a document that has more in it than policies. `sections` is `undefined` where they are no good, and `policies` where
 * nothing could be read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Split<A> {
  readonly policies: string | undefined
  readonly sections: A | undefined
  readonly problems: ReadonlyArray<Problem>
}

/** The policies are passed on as a document of their own, the sections are decoded. */
export const split = <A>(text: string, sections: Schema.ConstraintDecoder<A>, maxSize: number): Split<A> => {
  const unreadable = (message: string): Split<A> => ({
    policies: undefined,
    sections: undefined,
    problems: [{ path: "", message }]
  })
  if (text.length > maxSize) return unreadable(tooLarge(maxSize))
  if (text.trim() === "") return unreadable("The document is empty")
  const data = valueOf(text)
  if (Result.isFailure(data)) return unreadable(`The document cannot be read: ${data.failure}`)
  if (!isRecord(data.success)) return unreadable("A document is an object with policies")
  const { policies: own, ...rest } = data.success
  const decoded = Schema.decodeUnknownResult(sections, strict)(rest)
  const problems = Result.isSuccess(decoded) ? [] : issuesOf(decoded.failure.issue).issues.map(
    ({ message, path = [] }) => ({ path: pathOf(path), message })
  )
  return {
    policies: JSON.stringify(
      { policies: own },
      (_key, value: unknown) => typeof value === "bigint" ? Number(value) : value
    ),
    sections: Result.isSuccess(decoded) ? decoded.success : undefined,
    problems
  }
}

const valueOf = (text: string): Result.Result<unknown, string> => {
  let message: string
  try {
    return Result.succeed(Yaml.parse(text))
  } catch (error) {
    message = messageOf(error)
  }
  // JSON may be indented with tabs, which YAML may not. What is there twice it would take without a word.
  if (text.trimStart().startsWith("{") && !message.includes("Duplicate key")) {
    try {
      return Result.succeed(JSON.parse(text))
    } catch (error) {
      message = messageOf(error)
    }
  }
  return Result.fail(message)
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const strict = { errors: "all", onExcessProperty: "error" } as const

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** A decoder for each option, so that one which is wrong hides nothing that is wrong with the others. */
const decoders = new Map(
  Object.entries(Config.fields).map(([name, schema]) => [
    name,
    Schema.decodeUnknownResult(Schema.Struct({ [name]: schema }), strict)
  ])
)

const isRecord = (data: unknown): data is Readonly<Record<string, unknown>> =>
  typeof data === "object" && data !== null && !Array.isArray(data)

const decode = (data: unknown): Read => {
  if (!isRecord(data)) return nothing("A document is an object with policies")
  const problems: Array<Problem> = Object.keys(data).filter((key) => key !== "policies").map((key) => ({
    path: pathOf([key]),
    message: "There is no such option"
  }))
  const { policies } = data
  if (!isRecord(policies)) {
    problems.push({ path: "policies", message: "A document has policies by name" })
    return { document: { policies: {} }, problems }
  }
  const decoded = Object.entries(policies).map(([name, config]) => {
    const read = decodeConfig(["policies", name], config)
    problems.push(...read.problems)
    return [name, read.config] as const
  })
  return { document: { policies: Object.fromEntries(decoded) }, problems }
}

const decodeConfig = (
  at: ReadonlyArray<string>,
  data: unknown
): { readonly config: Config; readonly problems: ReadonlyArray<Problem> } => {
  if (!isRecord(data)) return { config: {}, problems: [{ path: pathOf(at), message: "A policy is an object" }] }
  const problems: Array<Problem> = []
  const config: Config = Object.assign(
    {},
    ...Object.entries(data).map(([name, option]) => {
      const decoder = decoders.get(name)
      if (decoder === undefined) {
        problems.push({ path: pathOf([...at, name]), message: "There is no such option" })
        return {}
      }
      const decoded = decoder({ [name]: option })
      if (Result.isSuccess(decoded)) return decoded.success
      for (const { message, path = [] } of issuesOf(decoded.failure.issue).issues) {
        problems.push({ path: pathOf([...at, ...path]), message })
      }
      return {}
    })
  )
  return { config, problems }
}

/** `policies.payments.limit.rules[0]`; a name that is no plain word is in brackets and quotes. */
export const pathOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string =>
  path.map((part) => typeof part === "object" ? part.key : part).reduce<string>(
    (before, key) =>
      typeof key === "number" || /^\d+$/.test(String(key))
        ? `${before}[${String(key)}]`
        : plain.test(String(key))
        ? `${before}${before === "" ? "" : "."}${String(key)}`
        : `${before}[${JSON.stringify(String(key))}]`,
    ""
  )

const plain = /^[\w-]+$/

/** What is wrong with how policies name each other. */
const references = ({ policies }: Document): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  for (const [name, config] of Object.entries(policies)) {
    if (name === "") problems.push({ path: pathOf(["policies", name]), message: "A policy must have a name" })
    const seen = new Set<string>()
    routesOf(config).forEach((route, index) => {
      const path = pathOf(["policies", name, "fallback", "routes", index])
      if (!Object.hasOwn(policies, route)) {
        problems.push({ path, message: `There is no policy "${route}"` })
      } else if (seen.has(route)) problems.push({ path, message: `"${route}" is a route already` })
      else {
        const cycle = cycleFrom(policies, name, route)
        if (cycle !== undefined) problems.push({ path, message: `It comes back to itself: ${cycle.join(" -> ")}` })
      }
      seen.add(route)
    })
  }
  return problems
}

const routesOf = (config: Config): ReadonlyArray<string> =>
  config.fallback?.routes.map((route) => typeof route === "string" ? route : route.policy) ?? []

/** The way from `start` over `next` back to `start`, if there is one. */
const cycleFrom = (policies: Document["policies"], start: string, next: string): ReadonlyArray<string> | undefined => {
  const visited = new Set<string>()
  const walk = (name: string, way: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (name === start) return [...way, name]
    if (visited.has(name) || !Object.hasOwn(policies, name)) return undefined
    visited.add(name)
    // It is one of them: the line above says so.
    for (const route of routesOf(policies[name]!)) {
      const found = walk(route, [...way, name])
      if (found !== undefined) return found
    }
    return undefined
  }
  return walk(next, [start])
}
