/** What a client is told when a turn fails: the kind of the failure, and never what the provider or the database said. */
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import { says } from "effect-resilience/http/Problem"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { BeginError, TurnError } from "../agents/Turns.ts"
import type { DeadTurn } from "../letters/DeadTurn.ts"
import type { TurnProblem } from "./ChatApi.ts"
import * as Problems from "./Problems.ts"

/** Why a turn could not begin, or did not end well. */
export type TurnFailure = BeginError | TurnError | DeadTurn<TurnError>

/** The problem for why a turn could not begin, or did not end well. */
export const turnProblem = (error: TurnFailure): Effect.Effect<TurnProblem> => {
  switch (error._tag) {
    case "SessionMissing":
      return Effect.succeed(sessionNotFound)
    case "StorageError":
      return Effect.succeed(storageUnavailable)
    case "WrongAgent":
      return Effect.succeed(
        new Problems.WrongAgent(
          says(`This session is one with ${error.agent}. Go on with that agent, or begin a new session.`)
        )
      )
    case "SessionBusy":
      return Effect.succeed(
        new Problems.SessionBusy({
          ...says(`${error.waiting} turns of this session are waiting already. Try again when one has been answered.`),
          retry_after: 1
        })
      )
    case "NameInUse":
      return Effect.succeed(
        new Problems.IdempotencyKeyInUse({
          ...says("A request with this Idempotency-Key is being answered. Send it again in a second."),
          retry_after: 1
        })
      )
    case "NameReused":
      return Effect.succeed(
        new Problems.IdempotencyKeyReused(
          says("This Idempotency-Key was used with another request. A new request needs a new key.")
        )
      )
    case "DeadTurn":
      return ofDeadTurn(error)
    default:
      return Effect.flatMap(
        Failure.classify(error),
        (info) => Effect.as(logFailure(info), ofProvider(error, info, {}))
      )
  }
}

/** Where the turn is kept. */
interface Kept {
  readonly letter_id?: string
  readonly session_id?: string
}

/** What the failure is told as anyway, with where the turn is kept. */
const ofDeadTurn = ({ cause, letterId, sessionId }: DeadTurn<TurnError>): Effect.Effect<TurnProblem> =>
  Effect.gen(function*() {
    const kept = { letter_id: letterId, session_id: sessionId }
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (error === undefined) {
      yield* Effect.logError("Unexpected error", cause)
      return new Problems.InternalError({ ...says("Something went wrong on our side."), ...kept })
    }
    if (error._tag === "StorageError") return storageUnavailable
    const info = yield* Failure.classify(error)
    yield* Effect.annotateLogs(logFailure(info), { letter_id: letterId })
    return ofProvider(error, info, kept)
  })

/** Tells the log what the client is not told. */
export const logFailure = (info: Failure.Info, what = "The turn failed") =>
  Effect.annotateLogs(Effect.logWarning(what), {
    kind: info.kind,
    code: info.code,
    reason: info.message
  })

const ofProvider = (error: TurnError, info: Failure.Info, kept: Kept): TurnProblem => {
  if (Deadline.isDeadlineExceeded(error)) {
    const text = `There was no complete answer within ${Duration.format(error.budget)}.`
    return new Problems.DeadlineExceeded({ ...says(text), ...kept })
  }
  if (info.code === "ContextTooLong") {
    return new Problems.ContextTooLong(says("This conversation is too long for the model. Begin a new session."))
  }
  if (info.code === "ContentPolicyError") {
    return new Problems.ContentRefused(says("The model does not answer this message. Say it differently."))
  }
  const seconds = retryAfterSeconds(info)
  switch (info.kind) {
    case "RateLimited":
      return providerRateLimited(seconds, kept)
    case "Overloaded":
      return new Problems.UpstreamUnavailable({
        ...says("The model's provider cannot take requests at the moment. Try again in a little while."),
        ...kept,
        retry_after: seconds
      })
    case "Timeout":
      return new Problems.DeadlineExceeded({ ...says("The model's provider did not answer in time."), ...kept })
    default: {
      const text = info.code === "ReplyCutShort"
        ? "The model's reply broke off. Nothing of it was kept. Try again."
        : "The model's provider failed, or answered something that makes no sense."
      return new Problems.BadUpstream({ ...says(text), ...kept })
    }
  }
}

/** In the form of every 429: what a limit of ours would say too, as far as it is known of somebody else's. */
export const providerRateLimited = (seconds: number, kept: Kept = {}): Problems.ProviderRateLimited =>
  new Problems.ProviderRateLimited({
    ...says(`Rate limit exceeded. Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`),
    ...kept,
    retry_after: seconds,
    limit: null,
    remaining: 0,
    reset: seconds
  })

/** Whole seconds, at least one; what a provider does not say is taken for five. */
export const retryAfterSeconds = (info: Failure.Info): number =>
  info.retryAfter === undefined ? 5 : Math.max(1, Math.ceil(Duration.toSeconds(info.retryAfter)))

/** There is no session of the id that the client gave. */
export const sessionNotFound = new Problems.SessionNotFound(
  says("There is no session of this id. It was deleted, or never was.")
)

/** The store failed; how, is in the log. */
export const storageUnavailable = new Problems.StorageUnavailable({
  ...says("Sessions cannot be read or stored at the moment. Try again in 5 seconds."),
  retry_after: 5
})
