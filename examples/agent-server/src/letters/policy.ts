/** How long failed turns are kept, how often they are tried, and at what pace. */
import type * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"

/** A month, and 100,000 of them: those that are done go first, then the oldest. */
export const retention: DeadLetterQueue.Retention = { age: "30 days", size: 100_000 }

/** How many redrives of a turn may fail before it is set aside for a person to look at. */
export const redrives = 5

/** At most this many turns a second are redriven without anybody asking, this many at once. */
export const autoRedrivePace = { rate: 2, concurrency: 2 } as const
