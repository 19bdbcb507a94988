/** What the calls of one hedge share: the budget and the latencies. */
import type * as Schedule from "effect/Schedule"
import { Latencies } from "./latencies.ts"
import * as Load from "./load.ts"

export interface Settings {
  readonly name: string
  /** Milliseconds, or how to know them. */
  readonly delay: number | QuantileSettings | Schedule.Schedule<unknown, number>
  readonly max: number
  readonly load: Load.Options
}

export interface QuantileSettings {
  readonly quantile: number
  readonly window: number
  readonly minimumCalls: number
  readonly initialMillis: number
}

export class Engine {
  readonly settings: Settings
  readonly schedule: Schedule.Schedule<unknown, number> | undefined
  /** Kept only where the delay depends on them: reading the clock is not free. */
  readonly latencies: Latencies | undefined
  private readonly fixedMillis: number
  private readonly learnt: QuantileSettings | undefined
  private budget = Load.initial

  constructor(settings: Settings) {
    const { delay } = settings
    this.settings = settings
    this.fixedMillis = typeof delay === "number" ? delay : Infinity
    this.learnt = typeof delay === "object" && "quantile" in delay ? delay : undefined
    this.schedule = typeof delay === "object" && !("quantile" in delay) ? delay : undefined
    this.latencies = this.learnt === undefined ? undefined : new Latencies(this.learnt.window)
  }

  /** What a call that starts now waits before each hedge; `Infinity` where that is not known. */
  delayMillis(): number {
    if (this.latencies === undefined || this.learnt === undefined) return this.fixedMillis
    return this.latencies.size < this.learnt.minimumCalls
      ? this.learnt.initialMillis
      : this.latencies.quantile(this.learnt.quantile)
  }

  callStarted(): void {
    this.budget = Load.call(this.settings.load, this.budget)
  }

  take(): boolean {
    const left = Load.take(this.budget)
    if (left === undefined) return false
    this.budget = left
    return true
  }

  available(): number {
    return Load.available(this.budget)
  }
}
