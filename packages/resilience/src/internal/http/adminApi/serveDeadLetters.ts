/** Serves the endpoints of a dead letter queue. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as DeadLetterQueue from "../../../DeadLetterQueue.ts"
import * as EventStream from "../../../http/EventStream.ts"
import { says } from "../../../http/Problem.ts"
import { type DeadLetters, type FilterBody, toFilter } from "./deadLetters.ts"
import { toLetter, toOpenedLetter, toReport } from "./letters.ts"
import { type Like, type Mounting, serve, type Served } from "./mounted.ts"
import * as Problems from "./problems.ts"
import * as Redrive from "./redriveLetters.ts"
import { down } from "./redriveLetters.ts"

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

export const layer = <ApiId extends string, Group extends Like<typeof DeadLetters>, Self, A, E, R>(
  api: Mounting<ApiId, "deadLetters", Group>,
  options: DeadLettersOptions<Self, A, E, R>
): Served<ApiId, Group, Self | R> =>
  Layer.unwrap(Effect.map(
    Effect.all([options.queue, Effect.context<R>()]),
    ([queue, context]) => {
      const redriving = Redrive.make(queue, (selected, how) =>
        Stream.provideContext(
          queue.redrive(selected, options.handler, { ...how, atomically: options.atomically }),
          context
        ))
      return serve<typeof DeadLetters>()(api, (api) =>
        HttpApiBuilder.group(api, "deadLetters", (handlers) =>
          handlers.handleAll({
            list: ({ query: { cursor, limit, order, ...filter } }) =>
              list(queue, filter, { cursor, limit, order }),
            get: ({ params }) => Effect.map(open(queue, params.id), toOpenedLetter),
            redrive: ({ payload, request }) =>
              Effect.gen(function*() {
                const redrive = yield* redriving(payload)
                const wantsEvents = payload.stream === true || EventStream.accepts(request.headers["accept"])
                if (!wantsEvents) return yield* Redrive.run(redrive)
                yield* EventStream.passOn()
                return Redrive.events(redrive)
              }),
            discard: ({ params, payload }) => discard(queue, params.id, payload.reason),
            report: () =>
              queue.report.pipe(
                Effect.map((report) => toReport(queue.name, report)),
                Effect.catchTag("DeadLetterStoreError", down)
              ),
            export: ({ query }) => exportLines(queue, toFilter(query))
          })))
    }
  ))

const list = <A>(
  queue: DeadLetterQueue.DeadLetterQueue<A>,
  filter: FilterBody,
  options: DeadLetterQueue.ListOptions
) =>
  queue.list(toFilter(filter), options).pipe(
    Effect.map(({ cursor, letters }) => ({ letters: letters.map(toLetter), cursor: cursor ?? null })),
    Effect.catchTags({
      CursorInvalid: ({ message }) => Effect.fail(Problems.wrong({ in: "query", path: "cursor", message })),
      DeadLetterStoreError: down
    })
  )

const open = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, id: string) =>
  Effect.catchTags(queue.get(id), {
    LetterNotFound: () =>
      Effect.fail(
        new Problems.LetterNotFound(says("There is no letter of this id: it never was, or it was evicted."))
      ),
    DeadLetterStoreError: down
  })

const exportLines = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, filter: DeadLetterQueue.Filter) =>
  // A store that is down is to be told by the status, and that is sent before the first line.
  Effect.catchTag(queue.count(filter), "DeadLetterStoreError", down).pipe(Effect.as(
    queue.export(filter).pipe(
      Stream.tapError((error) => Effect.logWarning("An export of dead letters broke off", error)),
      Stream.encodeText,
      // The connection is cut: that is how a client learns that a reply with a good status is not whole.
      Stream.orDie
    )
  ))

const discard = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, id: string, reason: string) =>
  Effect.gen(function*() {
    const discarded = yield* Effect.catchTag(queue.discard([id], reason), "DeadLetterStoreError", down)
    const letter = yield* open(queue, id)
    if (discarded > 0) return toLetter(letter)
    const { state } = letter
    return yield* new Problems.LetterRefused({
      ...says(`The letter is ${state}; only dead and quarantined ones can be discarded.`),
      state
    })
  })
