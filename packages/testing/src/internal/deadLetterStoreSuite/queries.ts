/** Pages, counts and groups, against a look at every row. */
import { expect } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import { fingerprints, generator, type It, kinds, matches, newQueue, newRow, states } from "./rows.ts"

const store = DeadLetterQueue.DeadLetterStore

/** Many rows of a queue, changed and removed at random, and all that are left. */
const populate = Effect.fnUntraced(function*(queue: string, seed: number, size: number) {
  const { get, insert, page, remove, replace } = yield* store
  const { next, pick } = generator(seed)
  const some = () => ({
    state: pick(states),
    kind: pick(kinds),
    fingerprint: pick(fingerprints),
    failedAt: 1_000 + next(50)
  })
  for (let i = 0; i < size; i++) yield* insert(newRow(queue, `id-${i}`, some()))
  for (let i = 0; i < size; i++) {
    const row = yield* get(queue, `id-${next(size)}`)
    if (row === undefined) continue
    if (next(4) === 0) yield* remove(queue, row.id, row.version)
    else yield* replace({ ...row, ...some() }, row.version)
  }
  const heads = yield* page(queue, {}, { order: "oldest", limit: 10_000 })
  return yield* Effect.forEach(heads, ({ id }) => Effect.map(get(queue, id), (row) => row!))
})

const randomQuery = ({ next, pick }: ReturnType<typeof generator>, last: number): DeadLetterQueue.Query => {
  const some = <A>(values: ReadonlyArray<A>) => values.filter(() => next(2) === 0)
  const maybe = <A>(value: A) => next(2) === 0 ? value : undefined
  return {
    states: maybe(some(states)),
    kinds: next(3) === 0 ? [pick(kinds)] : undefined,
    fingerprints: next(3) === 0 ? some(fingerprints) : undefined,
    failedFrom: next(3) === 0 ? 1_000 + next(50) : undefined,
    failedBefore: next(3) === 0 ? 1_000 + next(50) : undefined,
    seqUntil: next(3) === 0 ? next(last + 1) : undefined
  }
}

export const queryTests = (it: It): void => {
  it.effect("pages, counts and groups say what a look at every row says", () =>
    Effect.gen(function*() {
      const { count, groups, last, page } = yield* store
      const queue = newQueue()
      const rows = yield* populate(queue, 1, 80)
      const random = generator(2)
      const end = yield* last(queue)
      for (let i = 0; i < 120; i++) {
        const query = randomQuery(random, end)
        const wanted = rows.filter((row) => matches(row, query))
        expect(yield* count(queue, query)).toBe(wanted.length)
        const order = random.pick(["oldest", "newest"] as const)
        const limit = 1 + random.next(20)
        const seen: Array<number> = []
        let after: number | undefined
        while (true) {
          const found: ReadonlyArray<DeadLetterQueue.RowHead> = yield* page(queue, query, { order, after, limit })
          seen.push(...found.map(({ seq }) => seq))
          expect(found.length).toBeLessThanOrEqual(limit)
          if (found.length < limit) break
          after = found.at(-1)!.seq
        }
        const seqs = wanted.map(({ seq }) => seq).toSorted((a, b) => order === "oldest" ? a - b : b - a)
        expect(seen).toEqual(seqs)
        for (const group of yield* groups(queue, query)) {
          const alike = wanted.filter((row) =>
            row.state === group.state && row.kind === group.kind && row.fingerprint === group.fingerprint
          )
          const times = alike.map(({ failedAt }) => failedAt)
          expect(group).toMatchObject({ count: alike.length, oldest: Math.min(...times), newest: Math.max(...times) })
        }
        const grouped = (yield* groups(queue, query)).reduce((sum, group) => sum + group.count, 0)
        expect(grouped).toBe(wanted.length)
      }
    }), 60_000)

  it.effect("a page has the whole head of each row", () =>
    Effect.gen(function*() {
      const { insert, page } = yield* store
      const queue = newQueue()
      const row = newRow(queue, "a", { dedupeKey: "k", meta: "not JSON {", failedAt: 12 })
      yield* insert(row)
      const [head] = yield* page(queue, {}, { order: "newest", limit: 5 })
      const { body: _, ...rest } = row
      expect(head).toMatchObject({ ...rest, seq: 1, version: 1 })
    }))

  it.effect("pages stay put while rows come, change and go", () =>
    Effect.gen(function*() {
      const { get, insert, page, remove, replace } = yield* store
      const queue = newQueue()
      for (let i = 0; i < 30; i++) yield* insert(newRow(queue, `id-${i}`))
      for (const order of ["oldest", "newest"] as const) {
        const seen: Array<string> = []
        let after: number | undefined
        for (let round = 0;; round++) {
          const found: ReadonlyArray<DeadLetterQueue.RowHead> = yield* page(queue, {}, { order, after, limit: 7 })
          seen.push(...found.map(({ id }) => id))
          if (found.length < 7) break
          after = found.at(-1)!.seq
          yield* insert(newRow(queue, `${order}-${round}`))
          const old = yield* get(queue, found[0]!.id)
          yield* remove(queue, found[1]!.id, found[1]!.version)
          yield* replace({ ...old!, state: "Archived" }, old!.version)
        }
        expect(new Set(seen).size).toBe(seen.length)
        const left = yield* page(queue, {}, { order, limit: 1_000 })
        const missed = left.filter(({ id }) => id.startsWith("id-") && !seen.includes(id))
        expect(missed).toEqual([])
      }
    }))
}
