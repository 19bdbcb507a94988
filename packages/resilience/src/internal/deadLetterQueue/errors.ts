/** The errors of the DeadLetterQueue. */
import * as Clock from "effect/Clock"
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"

/**
 * The store could not be asked, or did not answer. Whoever wanted to offer a letter must not acknowledge its source.
 *
 * Its kind of failure is that of its cause.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadLetterStoreError
  extends Schema.TaggedError<DeadLetterStoreError>("effect-resilience/DeadLetterStoreError")("DeadLetterStoreError", {
    operation: Schema.String,
    cause: Schema.Defect()
  })
{
  override get message(): string {
    return `The dead letter store failed to ${this.operation}: ${this.verdict().message}`
  }

  private verdict(): Failure.Info {
    return Failure.classifyUnsafe(
      Failure.defaultClassifier,
      this.cause,
      Clock.Clock.defaultValue().currentTimeMillisUnsafe()
    )
  }

  [Failure.symbol](): Failure.Info {
    return { ...this.verdict(), code: "DeadLetterStoreError" }
  }
}

/**
 * The payload does not fit the queue's schema, or could not be sealed, and nothing was stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadUnencodable
  extends Schema.TaggedError<PayloadUnencodable>("effect-resilience/PayloadUnencodable")("PayloadUnencodable", {
    queue: Schema.String,
    reason: Schema.String
  })
{
  override get message(): string {
    return `The payload cannot be kept in dead letter queue "${this.queue}": ${this.reason}`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "PayloadUnencodable", message: this.message }
  }
}

/**
 * The payload cannot be read: it does not fit the schema (`"Undecodable"`), it was changed since it was sealed
 * (`"Tampered"`), or its key is not among those the queue was given (`"KeyMissing"`).
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadUnreadable
  extends Schema.TaggedError<PayloadUnreadable>("effect-resilience/PayloadUnreadable")("PayloadUnreadable", {
    queue: Schema.String,
    id: Schema.String,
    reason: Schema.Literals(["Undecodable", "Tampered", "KeyMissing"]),
    detail: Schema.String
  })
{
  override get message(): string {
    return `Letter ${this.id} of "${this.queue}" cannot be read: ${this.detail}`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "PayloadUnreadable", message: this.message }
  }
}

/**
 * There is no letter of this id: it never was, or it was evicted.
 *
 * @category errors
 * @since 0.1.0
 */
export class LetterNotFound
  extends Schema.TaggedError<LetterNotFound>("effect-resilience/LetterNotFound")("LetterNotFound", {
    queue: Schema.String,
    id: Schema.String
  })
{
  override get message(): string {
    return `There is no letter ${this.id} in "${this.queue}"`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "LetterNotFound", message: this.message }
  }
}

/**
 * The letter is not in a state in which this can be done. `reason` `"Leased"`: a worker is at it just now.
 *
 * @category errors
 * @since 0.1.0
 */
export class LetterRefused
  extends Schema.TaggedError<LetterRefused>("effect-resilience/LetterRefused")("LetterRefused", {
    queue: Schema.String,
    id: Schema.String,
    operation: Schema.String,
    state: Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]),
    reason: Schema.Literals(["Leased", "WrongState"])
  })
{
  override get message(): string {
    return this.reason === "Leased"
      ? `Letter ${this.id} of "${this.queue}" is being redriven, so one cannot ${this.operation} it`
      : `Letter ${this.id} of "${this.queue}" is ${this.state}, so one cannot ${this.operation} it`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "LetterRefused", message: this.message }
  }
}

/**
 * A worker took longer than its lease and could not renew it: another may have the letter now. Its handler was
 * interrupted, its answer was not taken.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost extends Schema.TaggedError<LeaseLost>("effect-resilience/LeaseLost")("LeaseLost", {
  queue: Schema.String,
  id: Schema.String,
  fence: Schema.Int
}) {
  override get message(): string {
    return `Redrive ${this.fence} of letter ${this.id} of "${this.queue}" lost its lease`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Transient", scope: "request", code: "LeaseLost", message: this.message }
  }
}

/**
 * A cursor that no `list` gave out.
 *
 * @category errors
 * @since 0.1.0
 */
export class CursorInvalid
  extends Schema.TaggedError<CursorInvalid>("effect-resilience/CursorInvalid")("CursorInvalid", {
    cursor: Schema.String
  })
{
  override get message(): string {
    return "The cursor is not one that list gave out"
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "CursorInvalid", message: this.message }
  }
}
