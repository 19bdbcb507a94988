/** What each operation does, one at a time and many at once. */
import { expect } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type It, newQueue, newRow } from "./rows.ts"

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, at) => at)
const store = DeadLetterQueue.DeadLetterStore

const texts = [
  "",
  "it's \"quoted\" \\ and `ticked`",
  "line\nline\r\n\ttab",
  "naïve 🦉 日本語 \u202e",
  "%s ${x} ? $1 :name",
  "x".repeat(300_000)
]

export const contractTests = (it: It): void => {
  it.effect("what is inserted comes back as it was, with version 1 and the next seq", () =>
    Effect.gen(function*() {
      const { get, insert, last } = yield* store
      const queue = newQueue()
      expect(yield* last(queue)).toBe(0)
      for (const [i, text] of texts.entries()) {
        const row = newRow(queue, `id-${i}`, {
          meta: text,
          body: `${text}.`,
          failedAt: 1_700_000_000_123 + i,
          state: "Quarantined",
          kind: "RateLimited"
        })
        expect(yield* insert(row)).toEqual({ _tag: "Inserted", seq: i + 1 })
        expect(yield* get(queue, row.id)).toEqual({ ...row, seq: i + 1, version: 1 })
      }
      expect(yield* last(queue)).toBe(texts.length)
      expect(yield* get(queue, "nobody")).toBeUndefined()
    }))

  it.effect("queues and ids with any characters are apart", () =>
    Effect.gen(function*() {
      const { count, get, insert, last, remove } = yield* store
      const base = newQueue()
      const names = [base, `${base}:`, `${base}:a`, `{${base}}`, `${base}*`, `${base} `, `${base}ß`, base.toUpperCase()]
      for (const name of names) yield* insert(newRow(name, "a:b", { dedupeKey: "k", meta: name }))
      for (const name of names) {
        expect(yield* insert(newRow(name, "a", { meta: "other" }))).toEqual({ _tag: "Inserted", seq: 2 })
        expect((yield* get(name, "a:b"))?.meta).toBe(name)
        expect(yield* last(name)).toBe(2)
      }
      expect(yield* remove(base, "a:b", 1)).toBe(true)
      for (const name of names.slice(1)) expect(yield* count(name, {})).toBe(2)
    }))

  it.effect("an id or a dedupe key that is there already is a duplicate, and nothing is written", () =>
    Effect.gen(function*() {
      const { count, get, insert } = yield* store
      const queue = newQueue()
      yield* insert(newRow(queue, "a", { dedupeKey: "k" }))
      expect(yield* insert(newRow(queue, "a", { meta: "2" }))).toEqual({ _tag: "Duplicate", id: "a" })
      expect(yield* insert(newRow(queue, "b", { dedupeKey: "k" }))).toEqual({ _tag: "Duplicate", id: "a" })
      expect((yield* insert(newRow(queue, "c")))._tag).toBe("Inserted")
      expect(yield* get(queue, "b")).toBeUndefined()
      expect((yield* get(queue, "a"))?.meta).toBe(`{"of":"a"}`)
      expect(yield* count(queue, {})).toBe(2)
    }))

  it.effect("a dedupe key is free when its row gives it up or is removed", () =>
    Effect.gen(function*() {
      const { insert, remove, replace } = yield* store
      const queue = newQueue()
      const insertAs = (id: string) => Effect.map(insert(newRow(queue, id, { dedupeKey: "k" })), ({ _tag }) => _tag)
      yield* insertAs("a")
      yield* replace({ ...newRow(queue, "a"), seq: 1, version: 1 }, 1)
      expect(yield* insertAs("b")).toBe("Inserted")
      expect(yield* insertAs("c")).toBe("Duplicate")
      expect(yield* remove(queue, "b", 1)).toBe(true)
      expect(yield* insertAs("d")).toBe("Inserted")
      expect(yield* remove(queue, "a", 2)).toBe(true)
      expect(yield* insertAs("e")).toBe("Duplicate")
    }))

  it.effect("replaces and removes only the version that was expected", () =>
    Effect.gen(function*() {
      const { count, get, insert, remove, replace } = yield* store
      const queue = newQueue()
      yield* insert(newRow(queue, "z"))
      yield* insert(newRow(queue, "a", { dedupeKey: "k" }))
      const changed = {
        ...newRow(queue, "a", {
          dedupeKey: "k",
          state: "Archived",
          kind: "Timeout",
          fingerprint: "f9",
          failedAt: 7,
          meta: "m",
          body: "b"
        }),
        seq: 99,
        version: 99
      }
      expect(yield* replace(changed, 2)).toBe(false)
      expect(yield* replace(changed, 1)).toBe(true)
      expect(yield* get(queue, "a")).toEqual({ ...changed, seq: 2, version: 2 })
      expect(yield* replace(changed, 1)).toBe(false)
      expect(yield* remove(queue, "a", 1)).toBe(false)
      expect(yield* count(queue, {})).toBe(2)
      expect(yield* remove(queue, "a", 2)).toBe(true)
      expect(yield* remove(queue, "a", 2)).toBe(false)
      expect(yield* get(queue, "a")).toBeUndefined()
      expect(yield* replace({ ...changed, id: "nobody" }, 1)).toBe(false)
      expect(yield* count(queue, {})).toBe(1)
    }))

  it.effect("of many that replace the same version, one does", () =>
    Effect.gen(function*() {
      const { get, insert, replace } = yield* store
      const queue = newQueue()
      yield* insert(newRow(queue, "a", { meta: "0" }))
      const add: Effect.Effect<void, DeadLetterQueue.DeadLetterStoreError> = Effect.gen(function*() {
        const row = (yield* get(queue, "a"))!
        if (yield* replace({ ...row, meta: `${Number(row.meta) + 1}` }, row.version)) return
        yield* Effect.yieldNow
        yield* add
      })
      yield* Effect.forEach(range(40), () => add, { concurrency: 8, discard: true })
      expect(yield* get(queue, "a")).toMatchObject({ meta: "40", version: 41 })
    }))

  it.effect("many inserts at once have each a seq of its own, and one of them each key", () =>
    Effect.gen(function*() {
      const { count, insert, last } = yield* store
      const queue = newQueue()
      const came = yield* Effect.forEach(
        range(60),
        (i) => insert(newRow(queue, `id-${i}`, { dedupeKey: `k-${i % 20}` })),
        { concurrency: 10 }
      )
      const seqs = came.flatMap((inserted) => inserted._tag === "Inserted" ? [inserted.seq] : [])
      expect(seqs.length).toBe(20)
      expect(new Set(seqs).size).toBe(20)
      expect(Math.max(...seqs)).toBeLessThanOrEqual(yield* last(queue))
      expect(yield* count(queue, {})).toBe(20)
    }))

  it.effect("what is inserted after `last` was asked has a higher seq, also while others insert", () =>
    Effect.gen(function*() {
      const { insert, last, page } = yield* store
      const queue = newQueue()
      const writers = yield* Effect.forkChild(
        Effect.forEach(range(80), (i) => insert(newRow(queue, `id-${i}`)), { concurrency: 8, discard: true })
      )
      const looks: Array<readonly [number, number]> = []
      while (writers.pollUnsafe() === undefined) {
        const upTo = yield* last(queue)
        const seen = yield* page(queue, { seqUntil: upTo }, { order: "oldest", limit: 1_000 })
        looks.push([upTo, seen.length])
        yield* Effect.yieldNow
      }
      yield* Fiber.join(writers)
      for (const [upTo, seen] of looks) {
        const now = yield* page(queue, { seqUntil: upTo }, { order: "oldest", limit: 1_000 })
        expect(now.length).toBe(seen)
      }
    }))

  it.effect("an interrupted write is there as a whole or not at all", () =>
    Effect.gen(function*() {
      const { count, get, groups, insert, page, replace } = yield* store
      const queue = newQueue()
      for (let i = 0; i < 30; i++) {
        const write = Effect.gen(function*() {
          yield* insert(newRow(queue, `id-${i}`, { dedupeKey: `k-${i}` }))
          yield* replace({
            ...newRow(queue, `id-${i}`, { state: "Archived", meta: "2", body: "2" }),
            seq: 0,
            version: 1
          }, 1)
        })
        const fiber = yield* Effect.forkChild(write)
        for (let y = 0; y < i; y++) yield* Effect.yieldNow
        if (i % 3 === 0) yield* Effect.sleep(i % 9)
        yield* Fiber.interrupt(fiber)
      }
      const rows = yield* page(queue, {}, { order: "oldest", limit: 1_000 })
      for (const { id } of rows) {
        const row = (yield* get(queue, id))!
        if (row.version === 1) {
          expect(row).toMatchObject({ state: "Dead", meta: `{"of":"${id}"}`, dedupeKey: `k-${id.slice(3)}` })
        } else {expect(row).toMatchObject({
            version: 2,
            state: "Archived",
            meta: "2",
            body: "2",
            dedupeKey: undefined
          })}
      }
      for (const state of ["Dead", "Archived"] as const) {
        const wanted = rows.filter((row) => row.state === state).length
        expect(yield* count(queue, { states: [state] })).toBe(wanted)
        expect((yield* groups(queue, { states: [state] })).reduce((sum, group) => sum + group.count, 0)).toBe(wanted)
      }
      expect((yield* insert(newRow(queue, "after")))._tag).toBe("Inserted")
    }))

  it.effect("its clock tells the time, and never runs back", () =>
    Effect.gen(function*() {
      const { now } = yield* store
      const first = yield* now
      yield* Effect.sleep(20)
      const second = yield* now
      expect(second).toBeGreaterThan(first)
      expect(Number.isFinite(first)).toBe(true)
    }))
}
