/** Whether something that goes up and down goes up in the long run. */
import { percentile } from "../harness/scenario.ts"

/** What was seen, and when: in seconds since the start. */
export interface Point {
  readonly second: number
  readonly value: number
}

const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

/** The medians of the first, the second and the last third. */
export const thirds = (points: ReadonlyArray<Point>): readonly [number, number, number] => {
  const end = Math.max(0, ...points.map(({ second }) => second)) + 1
  const third = (nth: number) =>
    median(points.filter(({ second }) => Math.floor(3 * second / end) === nth).map(({ value }) => value))
  return [third(0), third(1), third(2)]
}

/**
 * Growth a second, by Theil and Sen: the median of the slopes between any two points, which a few that are far off do not
 * move. Zero where there are fewer than two points.
 */
const slope = (points: ReadonlyArray<Point>): number => {
  const slopes = points.flatMap((a, index) =>
    points.slice(index + 1).filter((b) => b.second !== a.second).map((b) => (b.value - a.value) / (b.second - a.second))
  )
  return slopes.length === 0 ? 0 : median(slopes)
}

/** The last two thirds: what comes before is the warm-up. */
const warm = (points: ReadonlyArray<Point>): ReadonlyArray<Point> => {
  const end = Math.max(0, ...points.map(({ second }) => second))
  return points.filter(({ second }) => second >= end / 3)
}

/** How much it has grown in ten minutes, once warm, as a share of its mean. Of what is always zero, zero. */
export const growth = (points: ReadonlyArray<Point>): number => {
  const late = warm(points)
  const mean = late.reduce((sum, { value }) => sum + value, 0) / late.length
  return mean === 0 || late.length === 0 ? 0 : slope(late) * 600 / mean
}
