/** Serves the endpoints of a dead letter queue. */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as DeadLetterQueue from "../../../DeadLetterQueue.ts"
import { says } from "../../../http/Problem.ts"
import { acceptsEvents, eventStreamHeaders } from "../eventStream.ts"
import type { DeadLetters, FilterBody, RedriveEvent, RedriveReport, RedriveRequest } from "./deadLetters.ts"
import { toFailure, toLetter, toOpenedLetter, toReport } from "./letters.ts"
import type { Like, Middleware, Mounting } from "./mounted.ts"
import * as Problems from "./problems.ts"
import * as Replies from "./replies.ts"

/**
 * Options of {@link layerDeadLetters}.
 *
 * - `queue`: the tag of the queue, as `DeadLetterQueue.Service` makes them.
 * - `handler`: what letters are handed to when they are redriven: a function of the payload, or anything with `offer`.
 * - `atomically`: as in the options of `redrive`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLettersOptions<Self, A, E, R> {
  readonly queue: Context.Key<Self, DeadLetterQueue.DeadLetterQueue<A>>
  readonly handler:
    | ((payload: A, context: DeadLetterQueue.RedriveContext) => Effect.Effect<unknown, E, R>)
    | DeadLetterQueue.Destination<A, E, R>
  readonly atomically?: DeadLetterQueue.Atomically | undefined
}

export const layer = <
  ApiId extends string,
  Group extends Like<typeof DeadLetters>,
  Self,
  A,
  E,
  R
>(
  api: Mounting<ApiId, Group>,
  options: DeadLettersOptions<Self, A, E, R>
): Layer.Layer<
  HttpApiGroup.Service<ApiId, "deadLetters">,
  never,
  Self | R | Exclude<Middleware<Group>, Replies.Replies>
> =>
  HttpApiBuilder.group(
    // The builder reads the group from the API as it is there; its endpoints have the shapes of ours, see `Like`.
    api as unknown as HttpApi.HttpApi<ApiId, typeof DeadLetters>,
    "deadLetters",
    Effect.fnUntraced(function*(handlers) {
      const queue = yield* options.queue
      const context = yield* Effect.context<R>()
      return handlers.handleAll({
        list: ({ query: { cursor, limit, order, ...filter } }) => list(queue, filter, { cursor, limit, order }),
        get: ({ params }) => Effect.map(open(queue, params.id), toOpenedLetter),
        redrive: ({ payload, request }) =>
          Effect.gen(function*() {
            const selected = yield* select(queue, payload)
            const progress = Stream.provideContext(
              queue.redrive(selected.letters, options.handler, {
                dryRun: payload.dry_run,
                rate: payload.rate,
                concurrency: payload.concurrency,
                atomically: options.atomically
              }),
              context
            )
            const redriving = { ...selected, dryRun: payload.dry_run === true, progress }
            if (payload.stream !== true && !acceptsEvents(request.headers["accept"])) return yield* run(redriving)
            yield* HttpEffect.appendPreResponseHandler((_, response) =>
              Effect.succeed(HttpServerResponse.setHeaders(response, eventStreamHeaders))
            )
            return events(redriving)
          }),
        discard: ({ params, payload }) => discard(queue, params.id, payload.reason),
        report: () => Effect.map(stored(queue.report), (report) => toReport(queue.name, report)),
        export: ({ query }) =>
          // A store that is down is to be told by the status, and that is sent before the first line.
          Effect.as(
            stored(queue.count(toFilter(query))),
            queue.export(toFilter(query)).pipe(
              Stream.tapError((error) => Effect.logWarning("An export of dead letters broke off", error)),
              Stream.encodeText,
              // The connection is cut: that is how a client learns that a reply with a status is not whole.
              Stream.orDie
            )
          )
      })
    })
  ).pipe(
    Layer.provide(Replies.layer)
    // The group asks for the middleware that it has in this API, which the type of ours does not name.
  ) as Layer.Layer<
    HttpApiGroup.Service<ApiId, "deadLetters">,
    never,
    Self | R | Exclude<Middleware<Group>, Replies.Replies>
  >

const what = "dead letters"

const stored = <A, E, R>(self: Effect.Effect<A, E | DeadLetterQueue.DeadLetterStoreError, R>): Effect.Effect<
  A,
  Exclude<E, DeadLetterQueue.DeadLetterStoreError> | Problems.StorageUnavailable,
  R | HttpServerRequest.HttpServerRequest
> =>
  Effect.catch(self, (error): Effect.Effect<
    never,
    Exclude<E, DeadLetterQueue.DeadLetterStoreError> | Problems.StorageUnavailable,
    HttpServerRequest.HttpServerRequest
  > =>
    isStoreError(error)
      ? Problems.storageDown(what, error)
      // What is no error of the store is one of the others.
      : Effect.fail(error as Exclude<E, DeadLetterQueue.DeadLetterStoreError>))

const isStoreError = (error: unknown): error is DeadLetterQueue.DeadLetterStoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "DeadLetterStoreError"

const toFilter = ({ newer_than, older_than, ...filter }: FilterBody): DeadLetterQueue.Filter => ({
  ...filter,
  // Their schema let durations through only.
  olderThan: older_than as Duration.Input | undefined,
  newerThan: newer_than as Duration.Input | undefined
})

const list = <A>(
  queue: DeadLetterQueue.DeadLetterQueue<A>,
  filter: FilterBody,
  options: DeadLetterQueue.ListOptions
) =>
  queue.list(toFilter(filter), options).pipe(
    Effect.map(({ cursor, letters }) => ({ letters: letters.map(toLetter), cursor: cursor ?? null })),
    Effect.catchTag("CursorInvalid", ({ message }) =>
      Effect.fail(Problems.wrong({ in: "query", path: "cursor", message }))),
    stored
  )

const open = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, id: string) =>
  queue.get(id).pipe(
    Effect.catchTag("LetterNotFound", () =>
      Effect.fail(
        new Problems.LetterNotFound(says("There is no letter of this id: it never was, or it was evicted."))
      )),
    stored
  )

const discard = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, id: string, reason: string) =>
  Effect.gen(function*() {
    const discarded = yield* stored(queue.discard([id], reason))
    const letter = yield* open(queue, id)
    if (discarded > 0) return toLetter(letter)
    const { state } = letter
    return yield* new Problems.LetterRefused({
      ...says(`The letter is ${state}; only dead and quarantined ones can be discarded.`),
      state
    })
  })

// -----------------------------------------------------------------------------
// Redriving
// -----------------------------------------------------------------------------

interface Selected {
  readonly letters: ReadonlyArray<string> | DeadLetterQueue.Selection
  /** What to go on with. A redrive of ids has none: the ids are known. */
  readonly selection: DeadLetterQueue.Selection | null
}

interface Redriving<R> extends Selected {
  readonly dryRun: boolean
  readonly progress: Stream.Stream<DeadLetterQueue.Progress, DeadLetterQueue.DeadLetterStoreError, R>
}

/** A filter becomes a selection first, so that the client can go on with it whenever the redrive breaks off. */
const select = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, { filter, ids, selection }: RedriveRequest) =>
  Effect.gen(function*(): Effect.fn.Return<
    Selected,
    Problems.InvalidRequest | Problems.StorageUnavailable,
    HttpServerRequest.HttpServerRequest
  > {
    if (ids !== undefined) return { letters: [...new Set(ids)], selection: null }
    if (selection === undefined) {
      const selected = yield* stored(queue.select(toFilter(filter ?? {})))
      return { letters: selected, selection: selected }
    }
    if (selection.queue === queue.name) return { letters: selection, selection }
    return yield* Problems.wrong({
      in: "body",
      path: "selection.queue",
      message: `must be ${JSON.stringify(queue.name)}, the queue of this server`
    })
  })

const maxLetters = 1_000

const toRedriven = ({ failure, id, letter, outcome }: DeadLetterQueue.Progress) => ({
  id,
  outcome,
  state: letter?.state ?? null,
  failure: failure === undefined ? null : toFailure(failure)
})

const nothing = {
  done: 0,
  total: 0,
  counts: { redriven: 0, failed: 0, quarantined: 0, givenBack: 0, leaseLost: 0, taken: 0, skipped: 0, due: 0 }
}

const run = <R>({ dryRun, progress, selection }: Redriving<R>) =>
  Effect.gen(function*() {
    const letters: Array<RedriveReport["letters"][number]> = []
    let far: Pick<RedriveReport, "counts" | "done" | "total"> = nothing
    yield* stored(Stream.runForEach(progress, (came) =>
      Effect.sync(() => {
        far = { counts: came.counts, done: came.done, total: came.total }
        if (letters.length < maxLetters) letters.push(toRedriven(came))
      })))
    return { dry_run: dryRun, selection, ...far, letters }
  })

/** Runs as the client reads. When it goes away the letters in hand are given back, and the rest is left as it is. */
const events = <R>({ dryRun, progress, selection }: Redriving<R>): Stream.Stream<RedriveEvent, never, R> =>
  Stream.suspend(() => {
    let far: Pick<RedriveReport, "counts" | "done" | "total"> = nothing
    const start: RedriveEvent = { event: "start", data: { dry_run: dryRun, selection } }
    const done = Stream.sync((): RedriveEvent => ({
      event: "done",
      data: { dry_run: dryRun, selection, ...far, letters: [] }
    }))
    const each = Stream.map(progress, (came): RedriveEvent => {
      far = { counts: came.counts, done: came.done, total: came.total }
      return { event: "progress", data: { ...toRedriven(came), ...far } }
    })
    return Stream.succeed(start).pipe(
      Stream.concat(each),
      Stream.concat(done),
      Stream.catch((error) =>
        Stream.fromEffect(Effect.as(
          Effect.logWarning("A redrive of dead letters broke off", error),
          { event: "error", data: Problems.storageUnavailable(what) } satisfies RedriveEvent
        ))
      )
    )
  })
