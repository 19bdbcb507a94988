/** Serves `/v1/sessions/{id}`. */
import { failWith } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { type SessionMissing, Sessions, type StorageError } from "../../sessions/Sessions.ts"
import { Api } from "../Api.ts"
import { sessionNotFound, storageUnavailable } from "../turnProblem.ts"

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "sessions",
  Effect.fnUntraced(function*(handlers) {
    const sessions = yield* Sessions
    return handlers.handleAll({
      get: ({ params }) =>
        failingWithProblem(Effect.map(
          sessions.get(params.id),
          ({ agent, id, messages }) => ({ session_id: id, agent, messages })
        )),
      delete: ({ params }) => failingWithProblem(sessions.delete(params.id))
    })
  })
)

const failingWithProblem = <A>(self: Effect.Effect<A, SessionMissing | StorageError>) =>
  Effect.catchTags(self, {
    SessionMissing: () => failWith(sessionNotFound),
    StorageError: () => failWith(storageUnavailable)
  })
