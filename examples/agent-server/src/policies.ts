/** How the server treats its providers. The figures are all in `policies/values.ts`. */
import { values } from "./policies/values.ts"

export * from "./policies/calls.ts"
export * from "./policies/chain.ts"
export * from "./policies/guards.ts"

export const { history, limits, models, replies, waitingTurns } = values
