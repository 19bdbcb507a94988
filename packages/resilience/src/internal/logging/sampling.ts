/** Which lines are written: all from WARN on, of the others those of a share of the traces. */
import type * as LogLevel from "effect/LogLevel"
import { isWithinRatio } from "../traceRatio.ts"

export interface Shares {
  readonly Info: number
  readonly Debug: number
  readonly Trace: number
}

export class Sampling {
  private readonly shares: Shares
  /** Of each level, what is due to lines without a trace: these are taken evenly, one in so many. */
  private readonly due = { Info: 0, Debug: 0, Trace: 0 }

  constructor(shares: Shares) {
    this.shares = shares
  }

  /** The share that a level is sampled at; `undefined` when all its lines are written. */
  shareOf(level: LogLevel.LogLevel): number | undefined {
    if (level !== "Info" && level !== "Debug" && level !== "Trace") return undefined
    const share = this.shares[level]
    return share >= 1 ? undefined : share
  }

  keeps(level: "Info" | "Debug" | "Trace", share: number, traceId: string | undefined): boolean {
    if (traceId !== undefined) return isWithinRatio(traceId, share)
    // The first line is written, so that a level that is on is seen to be.
    const due = this.due[level]
    const keep = share > 0 && due < 1e-9
    this.due[level] = keep ? due + 1 - share : due - share
    return keep
  }
}
