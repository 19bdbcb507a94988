/** The last sessions, and what their stages took on average. */
import { type Averages, type Stage } from "./summary.ts"

export class Window {
  private readonly size: number
  private sessions: ReadonlyArray<Averages> = []

  constructor(size: number) {
    this.size = size
  }

  add(session: Averages): void {
    this.sessions = [...this.sessions, session].slice(-this.size)
  }

  /** The mean of the sessions' averages in milliseconds; `undefined` while none has measured the stage. */
  average(stage: Stage): number | undefined {
    let count = 0
    let total = 0
    for (const session of this.sessions) {
      const millis = session.get(stage)
      if (millis === undefined) continue
      count++
      total += millis
    }
    return count === 0 ? undefined : total / count
  }

  get length(): number {
    return this.sessions.length
  }
}
