/** The errors of a breaker. Exported, and documented, as names of `CircuitBreaker`. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"
import type { CircuitState } from "../../Signal.ts"
import { stackless } from "../stackless.ts"

export const CircuitOpenTypeId = "~effect-resilience/CircuitBreaker/CircuitOpen" as const

/**
 * The breaker did not let the call through: nothing was called.
 *
 * - `retryAfter`: when it may as well be tried again. Exact for an open circuit; for the others an estimate.
 * - `state`: of the circuit. `"Closed"` means that it had bad calls and as many in flight as `inFlight` allows.
 *
 * Its kind of failure is `Overloaded` with scope `"request"`: nobody counts it against the dependency. It has no stack
 * trace, which would cost more than the rejection.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("effect-resilience/CircuitOpen")("CircuitOpen", {
  name: Schema.String,
  key: Schema.String,
  retryAfter: Schema.DurationFromMillis,
  state: Schema.Literals(["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"])
}) {
  // A getter, not a field: `circuitOpen` runs no constructor of this class.
  get [CircuitOpenTypeId](): typeof CircuitOpenTypeId {
    return CircuitOpenTypeId
  }

  override get message(): string {
    return this.state === "Closed"
      ? `The circuit ${this.name} (${this.key}) has failures and too many calls in flight`
      : `The circuit ${this.name} (${this.key}) is ${words[this.state]}`
  }

  [Failure.symbol](): Failure.Info {
    return {
      kind: "Overloaded",
      scope: "request",
      code: "CircuitOpen",
      message: this.message,
      retryAfter: this.retryAfter
    }
  }
}

const words = {
  Open: "open",
  HalfOpen: "half-open",
  Recovering: "recovering",
  ForcedOpen: "forced open",
  ForcedClosed: "forced closed"
}

/**
 * The store of a shared circuit could not be asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitStoreError
  extends Schema.TaggedError<CircuitStoreError>("effect-resilience/CircuitStoreError")("CircuitStoreError", {
    operation: Schema.String,
    cause: Schema.Defect()
  })
{
  override get message(): string {
    return `The circuit breaker's store failed to ${this.operation}`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Transient", scope: "request", code: "CircuitStoreError", message: this.message }
  }
}

const newCircuitOpen = stackless(CircuitOpen)

export const circuitOpen = (name: string, key: string, retryAfterMillis: number, state: CircuitState): CircuitOpen => {
  const error = newCircuitOpen()
  error._tag = "CircuitOpen"
  error.name = name
  error.key = key
  error.retryAfter = Duration.millis(retryAfterMillis)
  error.state = state
  return error
}
