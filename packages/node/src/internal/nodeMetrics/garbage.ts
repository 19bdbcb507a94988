/** Every collection of garbage, once. */
import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks"

export type Kind = "major" | "minor" | "incremental" | "weakcb"

/** V8 has a second collector of young objects, which has no constant. */
const minorMarkSweep = 2

const kinds: { readonly [kind: number]: Kind } = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
  [minorMarkSweep]: "minor"
}

/** Tells of each collection with its seconds, soon after it was. Returns how to stop, which tells of those not told yet. */
export const observe = (tell: (kind: Kind, seconds: number) => void): () => void => {
  // What comes at once may be many collections.
  const tellAll = (entries: ReadonlyArray<PerformanceEntry>) => {
    for (const entry of entries) {
      // Entries of this type, and only those are asked for, have a detail that says their kind.
      const { detail, duration } = entry as PerformanceEntry & { readonly detail: { readonly kind: number } }
      const kind = kinds[detail.kind]
      if (kind !== undefined) tell(kind, duration / 1000)
    }
  }
  const observer = new PerformanceObserver((list) => tellAll(list.getEntries()))
  observer.observe({ entryTypes: ["gc"] })
  return () => {
    tellAll(observer.takeRecords())
    observer.disconnect()
  }
}
