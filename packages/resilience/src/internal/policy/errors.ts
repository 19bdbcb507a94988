/** What can be wrong with policies that are data. */
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"

/**
 * One thing that is wrong with a document, and where: `policies.payments.breaker.openFor`. The path is empty where it is the
 * document as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  readonly path: string
  readonly message: string
}

export const format = ({ message, path }: Problem): string => path === "" ? message : `${path}: ${message}`

/**
 * A document of policies was refused, with all that is wrong with it. Nothing of it was taken over.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyDocumentInvalid
  extends Schema.TaggedError<PolicyDocumentInvalid>("effect-resilience/PolicyDocumentInvalid")(
    "PolicyDocumentInvalid",
    {
      source: Schema.String,
      problems: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
    }
  )
{
  override get message(): string {
    return `${this.source} has ${this.problems.length} problem${this.problems.length === 1 ? "" : "s"}:\n${
      this.problems.map((problem) => `- ${format(problem)}`).join("\n")
    }`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "PolicyDocumentInvalid", message: this.message }
  }
}

/**
 * No policy has this name.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyNotFound extends Schema.TaggedError<PolicyNotFound>("effect-resilience/PolicyNotFound")(
  "PolicyNotFound",
  { name: Schema.String, names: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `There is no policy "${this.name}". There are: ${this.names.join(", ")}`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "PolicyNotFound", message: this.message }
  }
}
