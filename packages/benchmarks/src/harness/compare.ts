/**
 * Measures contenders side by side, in rounds that alternate between them.
 *
 * What a machine does besides falls on all sides alike: each round measures every contender once, beginning with another
 * one each time, between two measurements of a reference floor. A round in which the floor moved by more than 15 % from
 * what it usually is measures the machine and not us; it is done again.
 */
import * as Effect from "effect/Effect"
import { type Contender, type MakeCalls, plainEffects } from "./contender.ts"

/** Contenders that do the same, and how ours must compare. Ratios are of medians: `0.5` is twice as fast. */
export interface Comparison {
  readonly title: string
  /** What a call is, in a sentence. */
  readonly call: string
  readonly contenders: readonly [ours: Contender, ...others: ReadonlyArray<Contender>]
  readonly targets: ReadonlyArray<{ readonly against: string; readonly atMost: number }>
}

/** Nanoseconds a call. */
export interface Figures {
  readonly name: string
  readonly median: number
  readonly min: number
  readonly max: number
}

/** What came out. */
export interface Result {
  readonly comparison: Comparison
  readonly figures: ReadonlyArray<Figures>
  readonly floor: Figures
  readonly rounds: number
  readonly repeated: number
  readonly targets: ReadonlyArray<{
    readonly against: string
    readonly atMost: number
    readonly ratio: number
    readonly reached: boolean
  }>
}

const rounds = 9
const maxRepeated = 27
const sampleMillis = 60
const floorTolerance = 0.15

interface Calls {
  readonly makeCalls: MakeCalls
  readonly prepare?: MakeCalls | undefined
}

interface Measured extends Calls {
  readonly name: string
  readonly callsPerSample: number
  readonly samples: Array<number>
}

const collectGarbage = (): void => (globalThis as { readonly gc?: () => void }).gc?.()

const timed = async ({ makeCalls, prepare }: Calls, calls: number): Promise<number> => {
  await prepare?.(calls)
  collectGarbage()
  const started = process.hrtime.bigint()
  await makeCalls(calls)
  return Number(process.hrtime.bigint() - started) / calls
}

/** Warms a contender up, and finds out how many calls fill a sample. */
const calibrated = async (name: string, { makeCalls, prepare }: Calls): Promise<Measured> => {
  let calls = 10
  let nanos = await timed({ makeCalls, prepare }, calls)
  for (let warmUp = 0; warmUp < 5; warmUp++) {
    calls = Math.max(10, Math.round(sampleMillis * 1e6 / nanos))
    nanos = await timed({ makeCalls, prepare }, calls)
  }
  return { name, makeCalls, prepare, callsPerSample: Math.max(10, Math.round(sampleMillis * 1e6 / nanos)), samples: [] }
}

const sample = (measured: Measured): Promise<number> => timed(measured, measured.callsPerSample)

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

const figuresOf = ({ name, samples }: Measured): Figures => ({
  name,
  median: median(samples),
  min: Math.min(...samples),
  max: Math.max(...samples)
})

const floorContender = plainEffects("floor: Effect.sync", Effect.sync(() => 1))

/** Runs a comparison. */
export const compare = async (comparison: Comparison): Promise<Result> => {
  const prepared = []
  for (const contender of comparison.contenders) prepared.push({ ...await contender.setUp(), name: contender.name })
  const measured: Array<Measured> = []
  for (const { name, ...calls } of prepared) measured.push(await calibrated(name, calls))
  const floor = await calibrated(floorContender.name, await floorContender.setUp())

  let repeated = 0
  for (let round = 0; round < rounds;) {
    const before = await sample(floor)
    const taken: Array<number> = []
    for (let turn = 0; turn < measured.length; turn++) {
      const index = (turn + round) % measured.length
      taken[index] = await sample(measured[index]!)
    }
    const after = await sample(floor)
    const usual = median([...floor.samples, before, after])
    const moved = Math.max(Math.abs(before - usual), Math.abs(after - usual)) / usual
    if (moved > floorTolerance && repeated < maxRepeated) {
      repeated++
      continue
    }
    floor.samples.push(before, after)
    for (const [index, nanos] of taken.entries()) measured[index]!.samples.push(nanos)
    round++
  }
  for (const { tearDown } of prepared) await tearDown?.()

  const figures = measured.map(figuresOf)
  const ours = figures[0]!.median
  const targets = comparison.targets.map(({ against, atMost }) => {
    const other = figures.find(({ name }) => name === against)
    if (other === undefined) throw new Error(`${comparison.title}: no contender is called ${against}`)
    const ratio = ours / other.median
    return { against, atMost, ratio, reached: ratio <= atMost }
  })
  return { comparison, figures, floor: figuresOf(floor), rounds, repeated, targets }
}
