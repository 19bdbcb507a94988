/** The document of policies that is in force, and putting another one in its place. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { AdminKey } from "../../../http/AdminKey.ts"
import { says } from "../../../http/Problem.ts"
import type { Documents, PolicyDocumentInvalid } from "../../../Policy.ts"
import { type Like, type Mounting, serve, type Served } from "./mounted.ts"
import * as Problems from "./problems.ts"
import { Replies, strictInput } from "./replies.ts"

/** What is in force. */
const inForce = {
  document: Schema.String.annotate({ description: "Its text, YAML or JSON" }),
  version: Schema.Int.annotate({
    description: "How many documents have been in force since the start, this one included"
  }),
  source: Schema.String.annotate({ description: "Where it came from" }),
  loaded_at: Schema.String.annotate({ description: "Since when it is in force. ISO 8601, UTC" }),
  explain: Schema.String.annotate({ description: "What it does, in words" }),
  lint: Schema.Array(Schema.Struct({ code: Schema.String, at: Schema.String, message: Schema.String })).annotate({
    description: "What is allowed and probably not meant"
  })
}

const PolicyDocument = Schema.Struct({
  ...inForce,
  errors: Schema.optionalKey(Schema.Array(Problems.DocumentProblem)).annotate({
    description: "What was wrong with the document that was refused last, unless one was taken since"
  })
}).annotate({ identifier: "PolicyDocument" })

const ReplacedDocument = Schema.Struct({
  ...inForce,
  persisted: Schema.Boolean.annotate({ description: "Whether a restart will find it; otherwise it is in memory only" })
}).annotate({ identifier: "ReplacedPolicyDocument" })

/** A text as it was sent. What it says, and whether that is right, is for the document to tell. */
const text = (contentType: string) => HttpApiSchema.asText({ contentType })(Schema.String)

/**
 * The policies as data, for the server's operator.
 *
 * | endpoint | what |
 * | --- | --- |
 * | `GET /admin/policies` | the document in force, what it does, what is probably not meant |
 * | `PUT /admin/policies` | puts another one in force, or refuses it with everything that is wrong with it |
 *
 * The body is the document: `application/yaml`, `text/yaml` or `application/json`. One that is refused changes nothing.
 *
 * @category groups
 * @since 0.1.0
 */
export class Policies extends HttpApiGroup.make("policies").add(
  HttpApiEndpoint.get("get", "/admin/policies", { success: PolicyDocument, error: Problems.InvalidRequest })
    .annotateMerge(OpenApi.annotations({ summary: "The policies in force" })),
  HttpApiEndpoint.put("replace", "/admin/policies", {
    payload: [text("application/yaml"), text("text/yaml"), text("application/json")],
    success: ReplacedDocument,
    error: [Problems.InvalidRequest, Problems.PolicyDocumentRefused]
  }).annotateMerge(OpenApi.annotations({ summary: "Put other policies in force, all of them or none" }))
).middleware(AdminKey)
  .middleware(Replies)
  .annotateMerge(strictInput)
  .annotateMerge(OpenApi.annotations({ title: "Policies" }))
{}

/**
 * Options of {@link layerPolicies}.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoliciesOptions<R = never, R2 = never> {
  /** The documents: `Policy.Policies`, or a service of your own that has more in them. */
  readonly documents: Effect.Effect<Documents, never, R>
  /** Keeps the text of a document that was taken, for a restart, and says whether it could. Default: nobody keeps it. */
  readonly keep?: ((text: string) => Effect.Effect<boolean, never, R2>) | undefined
}

export const layer = <ApiId extends string, Group extends Like<typeof Policies>, R = never, R2 = never>(
  api: Mounting<ApiId, "policies", Group>,
  { documents, keep }: PoliciesOptions<R, R2>
): Served<ApiId, Group, R | R2> =>
  Layer.unwrap(Effect.gen(function*() {
    const held = yield* documents
    const context = yield* Effect.context<R2>()
    // What is kept last is what was taken last.
    const turn = Semaphore.makeUnsafe(1)
    const state = inForceOf(held)
    const replace = (text: string) =>
      turn.withPermit(Effect.uninterruptible(Effect.gen(function*() {
        yield* Effect.catch(held.replace(text, { source: "PUT /admin/policies" }), refused)
        const persisted = keep === undefined ? false : yield* Effect.provideContext(keep(text), context)
        return { ...yield* state, persisted }
      })))
    return serve<typeof Policies>()(api, (api) =>
      HttpApiBuilder.group(api, "policies", (handlers) =>
        handlers.handleAll({
          get: () =>
            Effect.map(
              Effect.all([state, held.current]),
              ([state, { refused }]) => ({ ...state, ...(refused === undefined ? {} : { errors: refused.problems }) })
            ),
          replace: ({ payload }) => replace(payload)
        })))
  }))

const inForceOf = ({ current, explain, lint }: Documents) =>
  Effect.map(Effect.all([current, explain, lint]), ([{ loadedAt, source, text, version }, explain, lint]) => ({
    document: text,
    version,
    source,
    loaded_at: DateTime.formatIso(loadedAt),
    explain,
    lint: lint.map(({ at, code, message }) => ({ at, code, message }))
  }))

const refused = ({ problems }: PolicyDocumentInvalid) =>
  Effect.fail(
    new Problems.PolicyDocumentRefused({
      ...says(
        `The document has ${problems.length} problem${
          problems.length === 1 ? "" : "s"
        }; the one before stays in force. ${
          problems.slice(0, shown).map(({ message, path }) => path === "" ? message : `${path}: ${message}`).join("; ")
        }`
      ),
      errors: problems
    })
  )

/** How many problems the message names; `errors` has all. */
const shown = 20
