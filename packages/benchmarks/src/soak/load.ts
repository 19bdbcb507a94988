/** Keeps callers at work, at a bounded rate, until they are told to rest. */
import type { Callers, Outcome } from "./requests.ts"

/** A load that runs. */
export interface Load {
  /** How many requests had which outcome. */
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** What no server may do, the first of it in full. */
  readonly unexpected: { count: number; readonly first: Array<string> }
  readonly inFlight: () => number
  readonly begin: () => void
  /** Sends nothing more, and waits for what is under way. */
  readonly rest: () => Promise<void>
}

/** At most so many requests a second, of at most so many at once. */
export interface Pace {
  readonly perSecond: number
  readonly atOnce: number
}

/** What is due is sent every so many milliseconds. */
const tickMillis = 10

/** A load, which does not begin by itself. */
export const load = ({ next }: Callers, { atOnce, perSecond }: Pace): Load => {
  const outcomes: Record<Outcome, number> = { answered: 0, refused: 0, failed: 0, left: 0 }
  const unexpected = { count: 0, first: new Array<string>() }
  const underWay = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined

  const send = () => {
    const one = next().then(
      (outcome) => {
        outcomes[outcome]++
      },
      (error: unknown) => {
        unexpected.count++
        if (unexpected.first.length < 10) unexpected.first.push(String(error))
      }
    ).finally(() => underWay.delete(one))
    underWay.add(one)
  }

  return {
    outcomes,
    unexpected,
    inFlight: () => underWay.size,
    begin: () => {
      let last = performance.now()
      let due = 0
      clearInterval(timer)
      timer = setInterval(() => {
        const now = performance.now()
        // What nobody had time for is not sent later.
        due = Math.min(atOnce, due + (now - last) * perSecond / 1000)
        last = now
        while (due >= 1 && underWay.size < atOnce) {
          due--
          send()
        }
      }, tickMillis)
    },
    rest: async () => {
      clearInterval(timer)
      await Promise.all(underWay)
    }
  }
}
