/**
 * What the operator of a server does over HTTP, as groups that any `HttpApi` can mount.
 *
 * @since 0.1.0
 */
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as Layer from "effect/Layer"
import { DeadLetters } from "../internal/http/adminApi/deadLetters.ts"
import type { Like, Middleware, Mounting } from "../internal/http/adminApi/mounted.ts"
import type { Replies } from "../internal/http/adminApi/replies.ts"
import * as ServeDeadLetters from "../internal/http/adminApi/serveDeadLetters.ts"

export { DeadLetters, RedriveEvent, RedriveReport, RedriveRequest } from "../internal/http/adminApi/deadLetters.ts"
export type { Like, Middleware, Mounting } from "../internal/http/adminApi/mounted.ts"
export {
  CircuitBreakerNotFound,
  InvalidRequest,
  LetterNotFound,
  LetterRefused,
  RateLimitPolicyNotFound,
  StorageUnavailable
} from "../internal/http/adminApi/problems.ts"
export { Replies } from "../internal/http/adminApi/replies.ts"
export type { DeadLettersOptions } from "../internal/http/adminApi/serveDeadLetters.ts"

/**
 * Serves {@link DeadLetters} for one queue, whatever its payloads are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeadLetters: <ApiId extends string, Group extends Like<typeof DeadLetters>, Self, A, E, R>(
  api: Mounting<ApiId, Group>,
  options: ServeDeadLetters.DeadLettersOptions<Self, A, E, R>
) => Layer.Layer<
  HttpApiGroup.Service<ApiId, "deadLetters">,
  never,
  Self | R | Exclude<Middleware<Group>, Replies>
> = ServeDeadLetters.layer
