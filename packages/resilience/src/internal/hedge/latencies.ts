/**
 * The latest latencies and their quantiles.
 *
 * A ring says which latency is the oldest, a sorted copy gives any quantile exactly and at once. To record costs two
 * binary searches and one move of at most `capacity` numbers inside a typed array; no estimate drifts, none must be
 * rebuilt, and memory is what was taken at the start.
 */
export class Latencies {
  private readonly ring: Float64Array
  private readonly sorted: Float64Array
  private next = 0
  /** How many are known, at most the capacity. */
  size = 0

  constructor(capacity: number) {
    this.ring = new Float64Array(capacity)
    this.sorted = new Float64Array(capacity)
  }

  /** Takes one latency in, and forgets the oldest when there is no more room. `millis` is a number of at least 0. */
  record(millis: number): void {
    const { ring, sorted } = this
    let gap = this.size
    if (this.size === ring.length) gap = this.firstNotBelow(ring[this.next]!)
    else this.size++
    // The place of the newcomer among the others, who keep their order: what lies between it and the gap moves by one.
    const place = this.firstNotBelow(millis, gap)
    if (place <= gap) {
      sorted.copyWithin(place + 1, place, gap)
      sorted[place] = millis
    } else {
      sorted.copyWithin(gap, gap + 1, place)
      sorted[place - 1] = millis
    }
    ring[this.next] = millis
    this.next = (this.next + 1) % ring.length
  }

  /** The smallest latency that a share of `p` of them does not exceed (nearest rank); `NaN` when none is known. */
  quantile(p: number): number {
    return this.size === 0 ? NaN : this.sorted[Math.max(0, Math.ceil(p * this.size) - 1)]!
  }

  /** The first place whose latency is at least `millis`, passing over `gap`, whose content does not count any more. */
  private firstNotBelow(millis: number, gap = -1): number {
    const { sorted } = this
    let low = 0
    let high = this.size
    if (gap >= 0) {
      // The gap is no value. Look below it or above it, never at it.
      if (gap > 0 && sorted[gap - 1]! >= millis) high = gap
      else if (gap + 1 < high && sorted[gap + 1]! < millis) low = gap + 1
      else return gap
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sorted[middle]! < millis) low = middle + 1
      else high = middle
    }
    return low
  }
}
