/**
 * The bulkhead as a machine with two events: a call arrives, a call leaves. It knows no time and no Effect.
 *
 * A permit that is given back goes straight to whose turn it is, in the same step. So while somebody waits no permit is
 * free, and nobody who arrives can overtake.
 */
import { Line, type Member, type Order } from "./line.ts"

/**
 * - `New`: has not arrived
 * - `Waiting`: in the line
 * - `Holding`: has a permit, from its arrival or since its turn came
 * - `Refused`: there was no place, or a more important call took it
 * - `Gone`: has left
 */
export type Standing = "New" | "Waiting" | "Holding" | "Refused" | "Gone"

export interface Call extends Member {
  standing: Standing
}

export class Permits<C extends Call> {
  limit: number
  places: number
  inFlight = 0
  private readonly line: Line<C>

  constructor(limit: number, places: number, order: Order) {
    this.limit = limit
    this.places = places
    this.line = new Line(order)
  }

  get queued(): number {
    return this.line.length
  }

  /** Decides on a new call, and returns the waiting call that it displaced, if it did. */
  arrive(call: C): C | undefined {
    if (this.inFlight < this.limit) {
      this.inFlight++
      call.standing = "Holding"
      return undefined
    }
    let displaced: C | undefined
    if (this.line.length >= this.places) {
      displaced = this.line.order === "priority" ? this.line.least() : undefined
      if (displaced === undefined || displaced.priority >= call.priority) {
        call.standing = "Refused"
        return undefined
      }
      this.line.leave(displaced)
      displaced.standing = "Refused"
    }
    this.line.join(call)
    call.standing = "Waiting"
    return displaced
  }

  /** Takes back what the call has, its permit or its place, and returns the call that got the permit, if one did. */
  leave(call: C): C | undefined {
    const { standing } = call
    call.standing = "Gone"
    if (standing === "Waiting") this.line.leave(call)
    if (standing !== "Holding") return undefined
    // With fewer permits than there were, some that come back are not given out again.
    const next = this.inFlight > this.limit ? undefined : this.line.take()
    if (next === undefined) this.inFlight--
    else next.standing = "Holding"
    return next
  }

  /**
   * Other numbers from now on, and the calls that got one of the new permits. Who runs keeps its permit and who waits its
   * place, also where there are more of them than there may be.
   */
  resize(limit: number, places: number): ReadonlyArray<C> {
    this.limit = limit
    this.places = places
    const admitted: Array<C> = []
    while (this.inFlight < limit) {
      const next = this.line.take()
      if (next === undefined) break
      this.inFlight++
      next.standing = "Holding"
      admitted.push(next)
    }
    return admitted
  }
}
