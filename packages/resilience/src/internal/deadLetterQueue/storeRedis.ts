/** Letters in Redis. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { DeadLetterStoreError } from "./errors.ts"
import { type Fields, get, groups, insert, remove, replace, scan, type Sieve } from "./redis.ts"
import { DeadLetterStore, type Group, matches, type PageOptions, type Query, type Row, type RowHead } from "./store.ts"

/**
 * Options of {@link layerStoreRedis}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisStoreOptions {
  /** What the names of all keys start with. Default `"dead-letters:"`. */
  readonly prefix?: string | undefined
}

/**
 * Keeps letters in the program's `Redis` (7 or newer). Any number of processes may share it; leases are measured with
 * Redis's own clock. All keys of a queue are in one slot of a cluster.
 *
 * Letters are as durable as Redis is: run it with `appendonly yes`, and `appendfsync always` where no acknowledged letter
 * may be lost with the machine. Keys never expire, so choose no eviction policy that takes keys without a time to live.
 *
 * **Example** (Letters in a shared Redis)
 *
 * ```ts no-run
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * const store = DeadLetterQueue.layerStoreRedis().pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreRedis = (
  options: RedisStoreOptions = {}
): Layer.Layer<DeadLetterStore, never, Redis.Redis> => {
  const prefix = options.prefix ?? "dead-letters:"
  /** The braces are the hash tag; in the name itself there can be none. */
  const baseOf = (queue: string) => `${prefix}{${encodeURIComponent(queue)}}`
  return Layer.effect(
    DeadLetterStore,
    Effect.map(Redis.Redis, (redis) => {
      const scanStep = redis.eval(scan)

      /** One index, in steps, until there are enough rows. */
      const fromIndex = Effect.fnUntraced(function*(
        queue: string,
        index: string,
        query: Query,
        { after, limit, order }: PageOptions
      ) {
        const rows: Array<RowHead> = []
        let from = after === undefined ? "" : `${after}`
        while (rows.length < limit) {
          const [next, found] = yield* scanStep(
            baseOf(queue),
            index,
            order,
            from,
            chunk,
            limit - rows.length,
            sieveOf(query)
          )
          for (const fields of found) rows.push(toHead(queue, fields))
          if (next === "-1") break
          from = next
        }
        return rows
      })
      const page = (queue: string, query: Query, options: PageOptions) =>
        Effect.map(
          Effect.forEach(
            query.states === undefined ? [":i"] : [...new Set(query.states)].map((state) => `:i:${state}`),
            (index) => fromIndex(queue, index, query, options)
          ),
          (parts) =>
            parts.flat().toSorted((a, b) => options.order === "oldest" ? a.seq - b.seq : b.seq - a.seq).slice(
              0,
              options.limit
            )
        )
      const last = (queue: string) =>
        Effect.map(redis.send<string | null>("GET", `${baseOf(queue)}:seq`), (seq) => Number(seq ?? 0))

      const grouped = Effect.fnUntraced(function*(queue: string, query: Query) {
        if (query.seqUntil !== undefined && query.seqUntil < (yield* last(queue))) {
          return yield* groupedByLooking(queue, query)
        }
        const all = yield* redis.eval(groups)(baseOf(queue), text(query.failedFrom), text(query.failedBefore))
        return all.flatMap(([name, count, oldest, newest]): ReadonlyArray<Group> => {
          const [state = "", kind = "", fingerprint = ""] = name.split("|")
          const alike = {
            state: state as Row["state"],
            kind: kind as Row["kind"],
            fingerprint,
            count,
            oldest: Number(oldest),
            newest: Number(newest)
          }
          const { kinds, fingerprints, states } = query
          return matches({ ...alike, id: "", seq: 0, version: 0, failedAt: 0, dedupeKey: undefined }, {
              kinds,
              fingerprints,
              states
            })
            ? [alike]
            : []
        }).toSorted((a, b) => b.count - a.count)
      })
      /** The groups know no numbers: what came after `seqUntil` can only be told by looking. */
      const groupedByLooking = Effect.fnUntraced(function*(queue: string, query: Query) {
        const found = new Map<string, { -readonly [K in keyof Group]: Group[K] }>()
        let after: number | undefined
        while (true) {
          const rows: ReadonlyArray<RowHead> = yield* page(queue, query, { order: "oldest", after, limit: chunk })
          for (const { failedAt, fingerprint, kind, state } of rows) {
            const name = `${state}|${kind}|${fingerprint}`
            const known = found.get(name) ??
              { state, kind, fingerprint, count: 0, oldest: failedAt, newest: failedAt }
            known.count++
            known.oldest = Math.min(known.oldest, failedAt)
            known.newest = Math.max(known.newest, failedAt)
            found.set(name, known)
          }
          if (rows.length < chunk) return [...found.values()].toSorted((a, b) => b.count - a.count)
          after = rows.at(-1)!.seq
        }
      })

      return DeadLetterStore.of({
        insert: (row) =>
          redis.eval(insert)(baseOf(row.queue), row).pipe(
            Effect.map(([inserted, what]) =>
              inserted === 1 ? { _tag: "Inserted" as const, seq: what } : { _tag: "Duplicate" as const, id: what }
            ),
            failsTo("insert a letter")
          ),
        replace: (row, expected) =>
          redis.eval(replace)(baseOf(row.queue), row, expected).pipe(Effect.map(isDone), failsTo("replace a letter")),
        remove: (queue, id, expected) =>
          redis.eval(remove)(baseOf(queue), id, expected).pipe(Effect.map(isDone), failsTo("remove a letter")),
        get: (queue, id) =>
          redis.eval(get)(baseOf(queue), id).pipe(
            Effect.map((fields) =>
              fields.length === 0 ? undefined : { ...toHead(queue, fields), body: fields[9] ?? "" }
            ),
            failsTo("get a letter")
          ),
        page: (queue, query, options) => failsTo("list letters")(page(queue, query, options)),
        count: (queue, query) =>
          grouped(queue, query).pipe(
            Effect.map((groups) => groups.reduce((sum, { count }) => sum + count, 0)),
            failsTo("count letters")
          ),
        groups: (queue, query) => failsTo("group letters")(grouped(queue, query)),
        last: (queue) => failsTo("find the last letter")(last(queue)),
        now: redis.send<readonly [string, string]>("TIME").pipe(
          Effect.map(([seconds, micros]) => Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)),
          failsTo("tell the time")
        )
      })
    })
  )
}

const chunk = 200

const failsTo =
  (operation: string) => <A>(self: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, DeadLetterStoreError> =>
    Effect.mapError(self, (cause) => new DeadLetterStoreError({ operation, cause }))

const isDone = (done: 0 | 1): boolean => done === 1

const text = (value: number | undefined): string => value === undefined ? "" : `${value}`

/** A list with a comma at both ends; one of nothing has none of its words between commas. */
const listed = (values: ReadonlyArray<string> | undefined): string =>
  values === undefined ? "" : values.length === 0 ? "-" : `,${values.join(",")},`

const sieveOf = (query: Query): Sieve => ({
  kinds: listed(query.kinds),
  fingerprints: listed(query.fingerprints),
  failedFrom: text(query.failedFrom),
  failedBefore: text(query.failedBefore),
  seqUntil: query.seqUntil === undefined ? "+inf" : `${query.seqUntil}`
})

const toHead = (queue: string, fields: Fields): RowHead => ({
  queue,
  id: fields[0],
  seq: Number(fields[1]),
  version: Number(fields[2]),
  state: fields[3] as Row["state"],
  kind: fields[4] as Row["kind"],
  fingerprint: fields[5],
  failedAt: Number(fields[6]),
  dedupeKey: fields[7] === "" ? undefined : fields[7].slice(1),
  meta: fields[8]
})
