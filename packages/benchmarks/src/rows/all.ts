/** Every page of figures. */
import type { Comparison } from "../harness/compare.ts"
import * as Bulkhead from "./bulkhead.ts"
import * as CircuitBreaker from "./circuitBreaker.ts"
import * as Hedge from "./hedge.ts"
import * as Retry from "./retry.ts"
import * as Timeout from "./timeout.ts"

/** A page: what it compares, and against which packages. */
export interface Page {
  readonly title: string
  readonly peers: ReadonlyArray<string>
  readonly comparisons: ReadonlyArray<Comparison>
  /** What a reader must know about the figures. */
  readonly notes: string
}

/** The pages by the name that `pnpm bench` takes. */
export const pages: Readonly<Record<string, Page>> = {
  "circuit-breaker": {
    title: "Circuit breaker",
    peers: ["effect", "cockatiel", "opossum"],
    comparisons: CircuitBreaker.comparisons,
    notes: ""
  },
  bulkhead: { title: "Bulkhead", peers: ["effect", "cockatiel"], comparisons: Bulkhead.comparisons, notes: "" },
  hedge: { title: "Hedge", peers: ["effect"], comparisons: Hedge.comparisons, notes: "" },
  retry: { title: "Retry", peers: ["effect", "cockatiel"], comparisons: Retry.comparisons, notes: "" },
  timeout: { title: "Time limits", peers: ["effect", "cockatiel"], comparisons: Timeout.comparisons, notes: "" }
}
