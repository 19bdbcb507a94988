/** Does something every two seconds while somebody looks. */

/** From the end of one round to the beginning of the next. */
const pause = 2_000

/** A round that takes longer is given up. */
const limit = 10_000

/** A round that is repeated. */
export interface Polling {
  readonly start: () => void
  readonly stop: () => void
  /** A round now, instead of when the next one would be. */
  readonly now: () => void
}

/** Repeats a round while it is started and the page can be seen. There is never more than one round at a time. */
export const make = (round: (signal: AbortSignal) => Promise<void>): Polling => {
  let started = false
  let running: AbortController | undefined
  let waiting: number | undefined

  const run = async () => {
    const controller = new AbortController()
    running = controller
    try {
      await round(AbortSignal.any([controller.signal, AbortSignal.timeout(limit)]))
    } finally {
      // After `halt` another round may have begun.
      if (running === controller) {
        running = undefined
        waiting = window.setTimeout(() => void run(), pause)
      }
    }
  }

  const halt = () => {
    window.clearTimeout(waiting)
    running?.abort()
    running = undefined
  }

  const go = () => {
    halt()
    if (started && !document.hidden) void run()
  }

  document.addEventListener("visibilitychange", go)
  return {
    start: () => {
      if (started) return
      started = true
      go()
    },
    stop: () => {
      started = false
      halt()
    },
    now: go
  }
}
