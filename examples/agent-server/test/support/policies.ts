/** The server's own policies for tests that run parts of it: those of the file beside the example. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as policies from "../../src/policies.ts"
import { modelProviders, Sections } from "../../src/policies/document.ts"
import type { Overrides } from "../../src/policies/values.ts"

/** Where it is. */
const path = fileURLToPath(new URL("../../policies.yaml", import.meta.url))

/** What it says. */
export const text = readFileSync(path, "utf8")

/** What it says beside the policies of providers. */
export const sections: Sections = (() => {
  const { problems, sections } = Policy.split(text, Sections)
  if (sections === undefined) throw new Error(JSON.stringify(problems))
  return sections
})()

/** The policies of a server with simulated providers, and the limiter that they count in. */
export const layerWith = (overrides: Overrides) =>
  Layer.provideMerge(
    policies.layer({ path, kind: "Simulated", models: modelProviders, overrides }),
    Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
  ).pipe(Layer.provide([CircuitBreaker.layerStoreMemory, NodeServices.layer]))

/** The same, as the file says. */
export const layer = layerWith({})

/** The file's text, with some words of it replaced. */
export const changed = (...changes: ReadonlyArray<readonly [before: string, after: string]>): string =>
  changes.reduce((text, [before, after]) => {
    if (!text.includes(before)) throw new Error(`the file does not have ${before}`)
    return text.replace(before, after)
  }, text)
