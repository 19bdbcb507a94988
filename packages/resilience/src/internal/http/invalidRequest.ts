/** What is wrong with the input of an `HttpApi` endpoint, field by field. */
import type * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** A part of a request that is wrong, and why. */
export const InvalidField = Schema.Struct({
  in: Schema.Literals(["body", "path", "query", "header"]),
  path: Schema.String.annotate({ description: "The field's name, nested ones with dots; empty for the whole" }),
  message: Schema.String
})

export type InvalidField = typeof InvalidField.Type

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where in the request the input was; what is missing here is about our own reply. */
const slots: { readonly [Kind in HttpApiError.HttpApiSchemaError["kind"]]?: InvalidField["in"] } = {
  Params: "path",
  Headers: "header",
  Query: "query",
  Payload: "body"
}

/** A list of a million wrong entries is one mistake, and nobody reads the reply that names each. */
const maxErrors = 100

/** `undefined` for what is wrong with a reply. */
export const invalidRequest = (
  error: HttpApiError.HttpApiSchemaError
): { readonly message: string; readonly errors: ReadonlyArray<InvalidField> } | undefined => {
  const where = slots[error.kind]
  if (where === undefined) return undefined
  const errors = formatIssues(error.cause.issue).issues.slice(0, maxErrors).map(({ message, path }) => ({
    in: where,
    path: (path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment)).join("."),
    message
  }))
  return { errors, message: summary(errors) }
}

/** All of it in one line. */
export const summary = (errors: ReadonlyArray<InvalidField>): string => {
  const named = errors.map(({ message, path }) => path === "" ? message : `${path}: ${message}`)
  return `The request is not valid. ${named.join("; ")}`
}
