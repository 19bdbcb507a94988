/** A policy: its parts, composed once, run often. */
import * as Effect from "effect/Effect"
import type * as Bulkhead from "../../Bulkhead.ts"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import { type AnyCallOptions, type AnyEffect, callOf, defaultKey } from "./call.ts"
import { lint, type Warning } from "./lint.ts"
import type { Options, Plain, Traits } from "./options.ts"
import type { Parts } from "./parts.ts"
import { type Pipeline, pipelineOf } from "./pipeline.ts"
import { isObserved, observed } from "./stages.ts"

export const TypeId = "~effect-resilience/Policy" as const

/**
 * The options of a call, which may be left out where nothing in them must be given.
 *
 * @category models
 * @since 0.1.0
 */
export type CallArguments<T extends Traits> = Record<never, never> extends T["call"] ? [options?: T["call"]]
  : [options: T["call"]]

/**
 * Several policies as one.
 *
 * `E` is what it adds to the errors of an effect and `R` what it adds to its needs; `T` has what else it says of effects.
 *
 * - `run`: an effect under all of them. A priority or a cost out of its range makes the call die with a `RangeError`.
 * - `explain`: what it does, from the outside in, as text
 * - `lint`: what is allowed and probably not meant
 * - `breaker`: the one that it has, to look at its circuits and to operate them
 * - `bulkhead`: the one of a key, to look at
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy<out E = never, out R = never, in out T extends Traits = Plain> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly run: <A extends T["accepts"], E1 extends T["fails"], R1>(
    self: Effect.Effect<A, E1, R1>,
    ...options: CallArguments<T>
  ) => Effect.Effect<A | T["answers"], E1 | E, Exclude<R1, T["provides"]> | R>
  readonly explain: string
  readonly lint: ReadonlyArray<Warning>
  readonly breaker: CircuitBreaker.Breaker | undefined
  readonly bulkhead: (key?: string) => Bulkhead.Bulkhead["Service"] | undefined
}

/** A policy whose parts may be changed while it runs. */
export class Composed {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly name: string
  lint: ReadonlyArray<Warning>
  private parts: Parts
  private pipeline: Pipeline

  constructor(parts: Parts, options: Options) {
    this.name = parts.name
    this.parts = parts
    this.pipeline = pipelineOf(parts)
    this.lint = lint(options, parts.times)
  }

  /** Calls that have begun end as they began. */
  change(parts: Parts, options: Options): void {
    this.parts = parts
    this.pipeline = pipelineOf(parts)
    this.lint = lint(options, parts.times)
  }

  get explain(): string {
    return this.pipeline.explain
  }

  get breaker(): CircuitBreaker.Breaker | undefined {
    return this.parts.breaker
  }

  readonly bulkhead = (key: string = defaultKey): Bulkhead.Bulkhead["Service"] | undefined =>
    this.parts.bulkheads?.at(key)

  readonly run = (self: AnyEffect, options?: AnyCallOptions): AnyEffect => {
    // An effect that is run again is composed once, for as long as the policy is the same.
    let composed: AnyEffect | undefined
    let by: Pipeline | undefined
    return Effect.withFiber((fiber) => {
      const { parts, pipeline } = this
      if (pipeline.isEmpty) return self
      if (isObserved(fiber)) {
        return observed(fiber, parts.name, pipeline.run(self, callOf(options, parts.idempotent)))
      }
      if (composed === undefined || by !== pipeline) {
        composed = pipeline.quiet(self, callOf(options, parts.idempotent))
        by = pipeline
      }
      return composed
    })
  }
}

/** The types say what the stages do to those of an effect. */
export const typed = <E, R, T extends Traits>(composed: Composed): Policy<E, R, T> =>
  composed as unknown as Policy<E, R, T>
