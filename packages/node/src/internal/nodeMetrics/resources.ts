/** What keeps the event loop alive: timers, sockets, pipes, requests to the file system. */

/** How many of a type are active. */
export type Count = () => number

/**
 * Counts what is active by type, by Node's names for them. Nobody knows all of the types beforehand: `found` hears of
 * each when it is seen first, and its count is 0 again when the last of it is gone.
 */
export const watch = (found: (type: string, count: Count) => void): void => {
  const counts = new Map<string, number>()

  const add = (type: string, count: Count): void => {
    counts.set(type, 0)
    found(type, count)
  }

  const look = (): void => {
    for (const type of counts.keys()) counts.set(type, 0)
    for (const type of process.getActiveResourcesInfo()) {
      if (!counts.has(type)) add(type, () => counts.get(type) ?? 0)
      counts.set(type, (counts.get(type) ?? 0) + 1)
    }
  }

  // They are read in this order, and the first of them looks at the process for all.
  add("Timeout", () => {
    look()
    return counts.get("Timeout") ?? 0
  })
}
