/** The algorithms as their users choose them: each starts a limiter that follows it. */
import { aimd, type Options as AimdOptions } from "./aimd.ts"
import type { Algorithm as Machine } from "./algorithm.ts"
import { gradient2, type Options as Gradient2Options } from "./gradient2.ts"
import { Limiter, type Options as LimiterOptions } from "./limiter.ts"
import { probing } from "./probing.ts"
import { type Options as VegasOptions, vegas } from "./vegas.ts"

/** To how much of itself the limit is lowered while the latency without load is measured. */
const share = 0.7

/** A limiter, whatever its algorithm keeps. */
export type AnyLimiter = Pick<Limiter<{ readonly limit: number }>, "limit" | "inFlight" | "enter" | "leave">

export type Start = (options: LimiterOptions) => AnyLimiter

const startOf = <State extends { readonly limit: number }>(machine: Machine<State>): Start => (options) =>
  new Limiter(options, machine)

export const startGradient2 = (options: Gradient2Options, every: number): Start =>
  startOf(probing({ every, share }, gradient2(options)))

export const startVegas = (options: VegasOptions, every: number): Start =>
  startOf(probing({ every, share }, vegas(options)))

export const startAimd = (options: AimdOptions): Start => startOf(aimd(options))
