/** Groups that are mounted into somebody else's `HttpApi`. */
import type * as Context from "effect/Context"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Layer from "effect/Layer"
import * as Replies from "./replies.ts"

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
 * An `HttpApi` that has a group of this identifier, beside whatever else it has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mounting<out ApiId extends string, Id extends string, Group extends HttpApiGroup.Constraint> {
  readonly identifier: ApiId
  readonly annotations: Context.Context<never>
  readonly groups: { readonly [_ in Id]: Group }
}

/**
 * The handlers of a group as it is in an API. They need `R`, and the middleware that the group was given.
 *
 * @category models
 * @since 0.1.0
 */
export type Served<ApiId extends string, Group extends HttpApiGroup.Constraint, R> = Layer.Layer<
  HttpApiGroup.Service<ApiId, Group["identifier"]>,
  never,
  R | Exclude<HttpApiEndpoint.Middleware<HttpApiGroup.Endpoints<Group>>, Replies.Replies>
>

/** The handlers of our own group, for an API that has it with whatever else was done to it. */
export const serve = <Ours extends HttpApiGroup.Constraint>() =>
<ApiId extends string, Group extends Like<Ours>, R>(
  api: Mounting<ApiId, Ours["identifier"], Group>,
  handlers: (
    api: HttpApi.HttpApi<ApiId, Ours>
  ) => Layer.Layer<HttpApiGroup.Service<ApiId, Ours["identifier"]>, never, R>
): Served<ApiId, Group, Exclude<R, HttpApiEndpoint.Middleware<HttpApiGroup.Endpoints<Ours>>>> =>
  // The builder reads the group from the API as it is there: with the endpoints of ours, see `Like`, under the prefix and
  // with the middleware that it was given there. So that is also what the handlers ask for, and the type of ours does not say.
  Layer.provide(handlers(api as unknown as HttpApi.HttpApi<ApiId, Ours>), Replies.layer) as unknown as Served<
    ApiId,
    Group,
    Exclude<R, HttpApiEndpoint.Middleware<HttpApiGroup.Endpoints<Ours>>>
  >
