/** Metrics as nobody should make them, the same ones for the same seed. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Mulberry32: small, and the same everywhere. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

const nasty = [
  ..."abz_:.-/ \"'\\\n\r\t{}=,#09",
  "\0",
  "é",
  "💥",
  "\uD800",
  "_bucket",
  "_sum",
  "_count",
  "_total",
  "# TYPE x counter\n",
  "__name__"
]
const labels = ["le", "quantile", "key", "__name__", "a.b", "a_b", "a-b", "job", "instance", "", "0", "ü", "x\ny"]
const values: ReadonlyArray<unknown> = [
  "",
  "a",
  "a\0",
  "\uD800",
  "\uDC00",
  "\"\\\n",
  1,
  null,
  undefined,
  true,
  Symbol("s"),
  {
    toString() {
      throw new Error("no text")
    }
  },
  "long".repeat(2_000)
]
const amounts: ReadonlyArray<unknown> = [0, 1, -1, 0.1, 1e21, 1e-21, NaN, Infinity, -Infinity, "1 2", undefined, {
  a: 1
}]

/** Makes and updates `count` of them in the registry of the context. */
export const strangeMetrics = (count: number, seed: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const next = random(seed)
    const pick = <A>(all: ReadonlyArray<A>): A => all[Math.floor(next() * all.length)]!
    const text = () => Array.from({ length: Math.floor(next() * 5) }, () => pick(nasty)).join("")
    for (let made = 0; made < count; made++) {
      const name = text()
      const description = pick<unknown>([text(), text(), undefined, 5, null]) as string | undefined
      // Callers without types give attributes of any type.
      const attributes = Object.fromEntries(
        Array.from({ length: Math.floor(next() * 4) }, () => [pick(labels), pick(values)])
      ) as Record<string, string>
      const options = { attributes, ...(description === undefined ? {} : { description }) }
      const amount = pick(amounts) as number
      switch (Math.floor(next() * 6)) {
        case 0:
          yield* Metric.update(Metric.counter(name, options), amount)
          break
        case 1:
          yield* Metric.update(Metric.counter(name, { ...options, incremental: true }), amount)
          break
        case 2:
          yield* Metric.update(Metric.gauge(name, options), amount)
          break
        case 3: {
          const boundaries = pick([[1, 2, 3], [2, 4], [5, 1, Infinity], [1, 1, NaN], []])
          yield* Metric.update(Metric.histogram(name, { ...options, boundaries }), amount)
          break
        }
        case 4: {
          const summary = { ...options, maxAge: "1 hour", maxSize: 10, quantiles: [0.5, 0.9, 0.5] } as const
          yield* Metric.update(Metric.summary(name, summary), amount)
          break
        }
        default:
          yield* Metric.update(Metric.frequency(name, options), pick([text(), "a", "a\0", ""]))
      }
    }
  })
