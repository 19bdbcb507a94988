/** From text to policies as data: everything that is wrong is told at once. */
import * as Yaml from "effect/encoding/Yaml"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Problem } from "./errors.ts"
import { type Config, Document } from "./schema.ts"

/** More than this is no configuration but a mistake, and would keep the process busy for long. */
export const defaultMaxSize = 262_144

type Parsed<A> = Result.Result<A, ReadonlyArray<Problem>>

const whole = (message: string): Parsed<never> => Result.fail([{ path: "", message }])

export const tooLarge = (maxSize: number): string => `The document is too large: more than ${maxSize} characters`

/** YAML, and so JSON. */
export const parse = (text: string, maxSize: number): Parsed<Document> => {
  if (text.length > maxSize) {
    return whole(tooLarge(maxSize))
  }
  if (text.trim() === "") return whole("The document is empty")
  return Result.flatMap(read(text), decode)
}

const read = (text: string): Parsed<unknown> => {
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
  return whole(`The document cannot be read: ${message}`)
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const strict = { errors: "all", onExcessProperty: "error" } as const

const decodeDocument = Schema.decodeUnknownResult(Document, strict)
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

export const decode = (data: unknown): Parsed<Document> => {
  const decoded = decodeDocument(data)
  if (Result.isSuccess(decoded)) return Result.succeed(decoded.success)
  return Result.fail(
    issuesOf(decoded.failure.issue).issues.map(({ message, path = [] }) => ({ path: pathOf(path), message }))
  )
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
export const references = ({ policies }: Document): ReadonlyArray<Problem> => {
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

export const routesOf = (config: Config): ReadonlyArray<string> =>
  config.fallback?.routes.map((route) => typeof route === "string" ? route : route.policy) ?? []

/** The way from `start` over `next` back to `start`, if there is one. */
const cycleFrom = (policies: Document["policies"], start: string, next: string): ReadonlyArray<string> | undefined => {
  const visited = new Set<string>()
  const walk = (name: string, way: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (name === start) return [...way, name]
    if (visited.has(name) || !Object.hasOwn(policies, name)) return undefined
    visited.add(name)
    for (const route of routesOf(policies[name]!)) {
      const found = walk(route, [...way, name])
      if (found !== undefined) return found
    }
    return undefined
  }
  return walk(next, [start])
}
