/**
 * A `Policy` around Effect's `HttpClient`, with what HTTP adds to it.
 *
 * - **Kinds by status.** A reply of 408, 425, 429 or 5xx, or that refuses our credentials, is a failure to retries, breaker and
 *   fallback; its kind and its `Retry-After` are those of `Failure.fromHttpStatus`. When all is done the caller gets the last reply
 *   itself, as without a policy. Other 4xx say that the server is well.
 * - **Keys per origin.** Scheme, host and port have circuits, limits and bulkheads of their own.
 * - **Only what may be repeated is.** GET, HEAD, OPTIONS, PUT, DELETE, TRACE and QUERY, and any request with an `Idempotency-Key`, are
 *   retried and hedged; the others are sent once.
 * - **Sent on.** What is left of the deadline, in `x-request-timeout-ms`, and the id of the request being served, in `x-request-id`.
 * - **The body is part of the attempt.** It is read within deadlines, places and retries, so a reply that stops half-way is a
 *   failure like any other. One of more than `maxBodyBytes` is not read to its end. For replies that are read as they come, say
 *   `body: "stream"`: then the attempt is over with the headers.
 *
 * What it does not do: it knows no redirects; put `HttpClient.followRedirects` inside.
 *
 * **Example** (Twice, as the first reply says to come back later)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { HttpClientPolicy, Policy, Retry } from "effect-resilience"
 *
 * let sent = 0
 * const client = HttpClient.make((request) =>
 *   Effect.sync(() =>
 *     HttpClientResponse.fromWeb(
 *       request,
 *       ++sent === 1 ? new Response("", { status: 503, headers: { "retry-after-ms": "5" } }) : new Response("hello")
 *     )
 *   )
 * )
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* Policy.make({
 *     name: "greeter",
 *     deadline: "5 seconds",
 *     retry: Retry.backoff({ base: "1 millis", times: 2 })
 *   })
 *   const reply = yield* HttpClientPolicy.apply(client, policy).get("http://127.0.0.1/")
 *   return yield* reply.text
 * })
 *
 * await Effect.runPromise(program) // => "hello"
 * sent // => 2
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Deadline from "./Deadline.ts"
import * as Failure from "./Failure.ts"
import * as RequestId from "./http/RequestId.ts"
import { buffered } from "./internal/httpClientPolicy/body.ts"
import { isIdempotent, originOf } from "./internal/httpClientPolicy/request.ts"
import { positiveInteger } from "./internal/options.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import type * as Policy from "./Policy.ts"

export {
  /**
   * The body of a reply is larger than `maxBodyBytes`: the cause of an `HttpClientError` whose reason is a `DecodeError`.
   *
   * @category errors
   * @since 0.1.0
   */
  ReplyTooLarge
} from "./internal/httpClientPolicy/replyTooLarge.ts"

/** 16 MiB. */
const defaultMaxBodyBytes = 16 * 1024 * 1024

type Request = HttpClientRequest.HttpClientRequest
type Reply = HttpClientResponse.HttpClientResponse

/**
 * Options of {@link apply}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in out Call extends Policy.CallOptions = Policy.CallOptions> {
  /**
   * Whether a reply's body is read into memory as part of the attempt, or left to the caller to read as it comes.
   * Default `"buffer"`.
   */
  readonly body?: "buffer" | "stream" | undefined
  /**
   * The most bytes of a body that are read into memory. A larger one fails with an `HttpClientError` whose cause is
   * {@link ReplyTooLarge}: a `Permanent` failure of the request, which says nothing of the server. `body: "stream"` has no limit. A positive
   * integer. Default 16 MiB (16,777,216): more than JSON of an API takes, and little enough for a hundred at once.
   */
  readonly maxBodyBytes?: number | undefined
  /** What the policy is told of a request besides or in place of its key and whether it may be repeated. */
  readonly call?: ((request: Request) => Partial<Call>) | undefined
  /** Whether the deadline is sent on. Default `true`. */
  readonly sendDeadline?: boolean | undefined
  /** Whether the id of the request being served is sent on. Default `true`. */
  readonly sendRequestId?: boolean | undefined
}

/**
 * What a policy for a client has to be like: if it answers in place of a call, then with a reply, and it provides nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpTraits extends Policy.Traits {
  readonly accepts: unknown
  readonly answers: Reply
  readonly fails: unknown
  readonly provides: never
  readonly call: Policy.CallOptions
}

/**
 * A client that sends every request under a policy.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply: {
  <PE, PR, T extends HttpTraits>(
    policy: Policy.Policy<PE, PR, T>,
    options?: Options<T["call"]>
  ): <E, R>(client: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<
    E | PE | HttpClientError.HttpClientError,
    R | PR
  >
  <E, R, PE, PR, T extends HttpTraits>(
    client: HttpClient.HttpClient.With<E, R>,
    policy: Policy.Policy<PE, PR, T>,
    options?: Options<T["call"]>
  ): HttpClient.HttpClient.With<E | PE | HttpClientError.HttpClientError, R | PR>
} = dual((args) => HttpClient.isHttpClient(args[0]), <E, R, PE, PR, T extends HttpTraits>(
  client: HttpClient.HttpClient.With<E, R>,
  policy: Policy.Policy<PE, PR, T>,
  options: Options<T["call"]> = {}
): HttpClient.HttpClient.With<E | PE | HttpClientError.HttpClientError, R | PR> => {
  const { body = "buffer", call, maxBodyBytes = defaultMaxBodyBytes, sendDeadline = true, sendRequestId = true } =
    options
  const inMemory = buffered(positiveInteger("maxBodyBytes", maxBodyBytes))
  const withId = sendRequestId ? RequestId.sendOn(client) : client
  const sending = sendDeadline ? HttpClient.mapRequestEffect(withId, withDeadline) : withId
  // What a policy of these traits makes of an effect that answers with a reply.
  const run = policy.run as <E1, R1>(
    self: Effect.Effect<Reply, E1, R1>,
    options: Policy.CallOptions
  ) => Effect.Effect<Reply, E1 | PE, R1 | PR>

  const attempt = (request: Request) => {
    const replied = sending.execute(request)
    return Effect.flatMap(body === "buffer" ? Effect.flatMap(replied, inMemory) : replied, judged)
  }
  return HttpClient.makeWith(
    (prepared: Effect.Effect<Request, E, R>) =>
      Effect.flatMap(prepared, (request) =>
        Effect.catch(
          run(attempt(request), { key: originOf(request), idempotent: isIdempotent(request), ...call?.(request) }),
          (error): Effect.Effect<Reply, E | PE | HttpClientError.HttpClientError> => {
            const reply = replyOf(error)
            return reply === undefined ? Effect.fail(error) : Effect.succeed(reply)
          }
        )),
    Effect.succeed
  )
})

const withDeadline = (request: Request): Effect.Effect<Request> =>
  Effect.map(Deadline.header, (headers) => HttpClientRequest.setHeaders(request, headers))

/** The failures that were made of replies here, and not by the caller's own client. */
const judgedReplies = new WeakMap<object, Reply>()

const replyOf = (error: unknown): Reply | undefined =>
  typeof error === "object" && error !== null ? judgedReplies.get(error) : undefined

/** A reply that says that the server is not well, or that we must not go on like this, is a failure. */
const judged = (reply: Reply): Effect.Effect<Reply, HttpClientError.HttpClientError> =>
  reply.status < 400 ? Effect.succeed(reply) : Effect.withFiber((fiber) => {
    const { kind, scope } = Failure.infoUnsafe(fiber, reply)
    if (kind === "Permanent" && scope === "request") return Effect.succeed(reply)
    const error = withoutStack(() =>
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.StatusCodeError({ request: reply.request, response: reply })
      })
    )
    judgedReplies.set(error, reply)
    return Effect.fail(error)
  })
