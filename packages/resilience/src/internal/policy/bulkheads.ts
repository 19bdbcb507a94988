/** A bulkhead for each key. */
import * as Effect from "effect/Effect"
import type * as Bulkhead from "../../Bulkhead.ts"
import { defaultKey } from "./call.ts"

/** More keys than this are kept only as long as they are used. */
const capacity = 10_000

type One = Bulkhead.Bulkhead["Service"]

export interface Bulkheads {
  readonly at: (key: string) => One
  readonly reconfigure: (options: Bulkhead.UnnamedOptions) => Effect.Effect<void>
}

/** One for all keys: somebody else made it. */
export const shared = (bulkhead: One): Bulkheads => ({ at: () => bulkhead, reconfigure: () => Effect.void })

/** `make` is checked: it throws for bad options. It needs no service, so it runs at once. */
export class PerKey implements Bulkheads {
  private options: Bulkhead.UnnamedOptions
  private readonly make: (key: string, options: Bulkhead.UnnamedOptions) => One
  private readonly byKey = new Map<string, One>()

  constructor(
    make: (key: string, options: Bulkhead.UnnamedOptions) => One,
    options: Bulkhead.UnnamedOptions
  ) {
    this.make = make
    this.options = options
    this.byKey.set(defaultKey, make(defaultKey, options))
  }

  readonly at = (key: string): One => {
    const found = this.byKey.get(key)
    if (found !== undefined) return found
    if (this.byKey.size >= capacity) this.forgetIdle()
    const made = this.make(key, this.options)
    this.byKey.set(key, made)
    return made
  }

  /** Those that hold nothing are made anew when they are asked for. A few are looked at, the oldest first. */
  private forgetIdle(): void {
    let looked = 0
    for (const [key, bulkhead] of this.byKey) {
      if (looked++ === 16) return
      this.byKey.delete(key)
      const { inFlight, queued } = Effect.runSync(bulkhead.state)
      if (inFlight > 0 || queued > 0 || key === defaultKey) this.byKey.set(key, bulkhead)
    }
  }

  readonly reconfigure = (options: Bulkhead.UnnamedOptions): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.options = options
      const { limit, maxWait, queue } = options
      return Effect.forEach(this.byKey.values(), (one) => one.reconfigure({ limit, queue, maxWait }), { discard: true })
    })
}
