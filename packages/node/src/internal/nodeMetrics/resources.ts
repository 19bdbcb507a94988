/** What keeps the event loop alive: timers, sockets, pipes, requests to the file system. */

/** Of one type. */
export type Reading = () => number

/**
 * Counts what is active by type, by Node's names for them. Nobody knows all of the types beforehand: `found` hears of
 * each when it is seen first, and its count is 0 again when the last of it is gone.
 */
export class ActiveResources {
  private readonly counts = new Map<string, number>()
  private readonly found: (type: string, count: Reading) => void

  constructor(found: (type: string, count: Reading) => void) {
    this.found = found
    // The timers come first in whatever lists the types, and their reading looks at the process for all of them.
    this.add("Timeout", () => {
      this.look()
      return this.countOf("Timeout")
    })
  }

  private add(type: string, count: Reading): void {
    this.counts.set(type, 0)
    this.found(type, count)
  }

  private countOf(type: string): number {
    return this.counts.get(type) ?? 0
  }

  private look(): void {
    for (const type of this.counts.keys()) this.counts.set(type, 0)
    for (const type of process.getActiveResourcesInfo()) {
      if (!this.counts.has(type)) this.add(type, () => this.countOf(type))
      this.counts.set(type, this.countOf(type) + 1)
    }
  }
}
