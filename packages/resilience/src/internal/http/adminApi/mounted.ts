/** Groups that are mounted into somebody else's `HttpApi`. */
import type * as Context from "effect/Context"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"

/**
 * A group that has the endpoints of `Group`, whatever prefix and middleware it was given.
 *
 * @category models
 * @since 0.1.0
 */
export type Like<Group extends HttpApiGroup.Constraint> = HttpApiGroup.Constraint & {
  readonly identifier: Group["identifier"]
  readonly endpoints: { readonly [Name in keyof Group["endpoints"]]: HttpApiEndpoint.Constraint }
}

/**
 * An `HttpApi` that has a group, beside whatever else it has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mounting<out ApiId extends string, Group extends HttpApiGroup.Constraint> {
  readonly identifier: ApiId
  readonly annotations: Context.Context<never>
  readonly groups: { readonly [Id in Group["identifier"]]: Group }
}

/**
 * The middleware that the endpoints of a group ask for.
 *
 * @category models
 * @since 0.1.0
 */
export type Middleware<Group> = HttpApiEndpoint.Middleware<HttpApiGroup.Endpoints<Group>>
