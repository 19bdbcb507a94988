/** Rows to keep, and what a store must say of them, told in the plainest way. */
import type { Vitest } from "@effect/vitest"
import type * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"

export type It = Vitest.MethodsNonLive<DeadLetterQueue.DeadLetterStore>

export type NewRow = Omit<DeadLetterQueue.Row, "seq" | "version">

let queues = 0

/** A name that no other test of this process has. */
export const newQueue = (): string => `suite-${Math.random().toString(36).slice(2)}-${++queues}`

export const newRow = (queue: string, id: string, more?: Partial<NewRow>): NewRow => ({
  queue,
  id,
  state: "Dead",
  kind: "Transient",
  fingerprint: "f0",
  failedAt: 1_000,
  dedupeKey: undefined,
  meta: `{"of":${JSON.stringify(id)}}`,
  body: `{"payload":${JSON.stringify(id)}}`,
  ...more
})

export const matches = (row: DeadLetterQueue.Row, query: DeadLetterQueue.Query): boolean => {
  if (query.states !== undefined && !query.states.includes(row.state)) return false
  if (query.kinds !== undefined && !query.kinds.includes(row.kind)) return false
  if (query.fingerprints !== undefined && !query.fingerprints.includes(row.fingerprint)) return false
  if (query.failedFrom !== undefined && row.failedAt < query.failedFrom) return false
  if (query.failedBefore !== undefined && row.failedAt >= query.failedBefore) return false
  return query.seqUntil === undefined || row.seq <= query.seqUntil
}

/** A sequence that is the same in every run. */
export const generator = (seed: number) => {
  let state = seed
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return { next, pick: <A>(values: ReadonlyArray<A>): A => values[next(values.length)]! }
}

export const states = ["Dead", "Redriving", "Quarantined", "Archived", "Discarded"] as const
export const kinds = ["Transient", "Timeout", "Permanent"] as const
export const fingerprints = ["f0", "f1", "f2"] as const
