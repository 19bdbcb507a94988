/** How the server treats its callers and providers. The figures are in policies.yaml. */
export * from "./policies/calls.ts"
export * from "./policies/chain.ts"
export type { Dependency, SpeechDependency } from "./policies/document.ts"
export { layer, Policies } from "./policies/Policies.ts"
export type { Values } from "./policies/values.ts"

/**
 * How many connections to each provider there are at most. Calls beyond that wait for a free one. It is not in the document: the
 * pool is made once.
 */
export const providerConnections = 128
