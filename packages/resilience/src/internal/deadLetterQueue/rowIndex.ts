/** The rows of one queue, found by id, by dedupe key and by place, and counted without being looked at. */
import { type Group, matches, type PageOptions, type Query, type Row } from "./store.ts"

export type Indexed = Omit<Row, "meta" | "body" | "queue">

interface Place<R> {
  readonly seq: number
  row: R | undefined
}

export class RowIndex<R extends Indexed> {
  last = 0
  /** In the order of `seq`. A removed row leaves its place empty until there are more empty places than rows. */
  private places: Array<Place<R>> = []
  private readonly ids = new Map<string, Place<R>>()
  private readonly dedupe = new Map<string, string>()
  private readonly counts = new Map<string, { readonly like: Indexed; count: number }>()

  get size(): number {
    return this.ids.size
  }

  get(id: string): R | undefined {
    return this.ids.get(id)?.row
  }

  values(): ReadonlyArray<R> {
    return this.places.flatMap(({ row }) => row === undefined ? [] : [row])
  }

  duplicateOf(row: Pick<Row, "id" | "dedupeKey">): string | undefined {
    if (this.ids.has(row.id)) return row.id
    return row.dedupeKey === undefined ? undefined : this.dedupe.get(row.dedupeKey)
  }

  /** Its `seq` is above all others. */
  add(row: R): void {
    const place: Place<R> = { seq: row.seq, row }
    this.last = row.seq
    this.places.push(place)
    this.ids.set(row.id, place)
    this.enter(row)
  }

  replace(row: R): void {
    const place = this.ids.get(row.id)
    if (place?.row === undefined) return
    this.leave(place.row)
    place.row = row
    this.enter(row)
  }

  remove(id: string): void {
    const place = this.ids.get(id)
    if (place?.row === undefined) return
    this.leave(place.row)
    place.row = undefined
    this.ids.delete(id)
    if (this.places.length > 64 && this.places.length > 2 * this.ids.size) {
      this.places = this.places.filter(({ row }) => row !== undefined)
    }
  }

  page(query: Query, { after, limit, order }: PageOptions): ReadonlyArray<R> {
    const found: Array<R> = []
    const step = order === "oldest" ? 1 : -1
    const start = order === "oldest"
      ? this.firstAbove(after ?? 0)
      : this.firstAbove(after === undefined ? Infinity : after - 1) - 1
    for (let i = start; i >= 0 && i < this.places.length && found.length < limit; i += step) {
      const { row } = this.places[i]!
      if (row !== undefined && matches(row, query)) found.push(row)
    }
    return found
  }

  count(query: Query): number {
    if (query.failedBefore !== undefined || query.failedFrom !== undefined || query.seqUntil !== undefined) {
      return this.values().filter((row) => matches(row, query)).length
    }
    let total = 0
    for (const { count, like } of this.counts.values()) if (matches(like, query)) total += count
    return total
  }

  groups(query: Query): ReadonlyArray<Group> {
    const groups = new Map<string, { -readonly [K in keyof Group]: Group[K] }>()
    for (const { row } of this.places) {
      if (row === undefined || !matches(row, query)) continue
      const { failedAt, fingerprint, kind, state } = row
      const known = groups.get(likeness(row))
      if (known === undefined) {
        groups.set(likeness(row), { state, kind, fingerprint, count: 1, oldest: failedAt, newest: failedAt })
      } else {
        known.count++
        known.oldest = Math.min(known.oldest, failedAt)
        known.newest = Math.max(known.newest, failedAt)
      }
    }
    return [...groups.values()].toSorted((a, b) => b.count - a.count)
  }

  /** The first place whose `seq` is above `seq`. */
  private firstAbove(seq: number): number {
    let from = 0
    let to = this.places.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.places[middle]!.seq > seq) to = middle
      else from = middle + 1
    }
    return from
  }

  private enter(row: R): void {
    if (row.dedupeKey !== undefined) this.dedupe.set(row.dedupeKey, row.id)
    const alike = this.counts.get(likeness(row))
    if (alike === undefined) this.counts.set(likeness(row), { like: row, count: 1 })
    else alike.count++
  }

  private leave(row: R): void {
    if (row.dedupeKey !== undefined) this.dedupe.delete(row.dedupeKey)
    const alike = this.counts.get(likeness(row))!
    alike.count--
    if (alike.count === 0) this.counts.delete(likeness(row))
  }
}

const likeness = ({ fingerprint, kind, state }: Indexed): string => `${state} ${kind} ${fingerprint}`
