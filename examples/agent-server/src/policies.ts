/** How the server treats its callers and providers. The figures are in policies.yaml. */
export * from "./policies/calls.ts"
export * from "./policies/chain.ts"
export type { Dependency, SpeechDependency } from "./policies/document.ts"
export { layer, Policies } from "./policies/Policies.ts"
export type { Values } from "./policies/values.ts"
