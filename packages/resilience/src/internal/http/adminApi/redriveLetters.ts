/** Redriving letters for a client that waits for the end, or follows it event by event. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as DeadLetterQueue from "../../../DeadLetterQueue.ts"
import { type RedriveEvent, type RedriveReport, type RedriveRequest, toFilter } from "./deadLetters.ts"
import { toFailure } from "./letters.ts"
import * as Problems from "./problems.ts"

const store = "dead letters"

export const down = (error: DeadLetterQueue.DeadLetterStoreError) => Problems.storageDown(store, error)

type Progress = Stream.Stream<DeadLetterQueue.Progress, DeadLetterQueue.DeadLetterStoreError>

/** A redrive that has not begun. */
export interface Redriving {
  readonly dryRun: boolean
  /** What to go on with. A redrive of ids has none: the ids are known. */
  readonly selection: DeadLetterQueue.Selection | null
  readonly progress: Progress
}

/** What a request asks for, as a redrive. */
export const make = <A>(
  queue: DeadLetterQueue.DeadLetterQueue<A>,
  redrive: (
    selected: ReadonlyArray<string> | DeadLetterQueue.Selection,
    how: DeadLetterQueue.RedriveOptions
  ) => Progress
) =>
(request: RedriveRequest) =>
  Effect.map(select(queue, request), (selected): Redriving => {
    const dryRun = request.dry_run === true
    return {
      dryRun,
      selection: "_tag" in selected ? selected : null,
      progress: redrive(selected, { dryRun, rate: request.rate, concurrency: request.concurrency })
    }
  })

/** A filter becomes a selection first, so that the client can go on with it whenever the redrive breaks off. */
const select = <A>(queue: DeadLetterQueue.DeadLetterQueue<A>, { filter, ids, selection }: RedriveRequest) =>
  Effect.gen(function*() {
    if (ids !== undefined) return [...new Set(ids)]
    if (selection === undefined) {
      return yield* Effect.catchTag(queue.select(toFilter(filter ?? {})), "DeadLetterStoreError", down)
    }
    if (selection.queue === queue.name) return selection
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

/** To its end, with what came of the first letters. */
export const run = ({ dryRun, progress, selection }: Redriving) =>
  Effect.gen(function*() {
    const letters: Array<RedriveReport["letters"][number]> = []
    let far: Pick<RedriveReport, "counts" | "done" | "total"> = nothing
    const each = Stream.runForEach(progress, (came) =>
      Effect.sync(() => {
        far = { counts: came.counts, done: came.done, total: came.total }
        if (letters.length < maxLetters) letters.push(toRedriven(came))
      }))
    yield* Effect.catchTag(each, "DeadLetterStoreError", down)
    return { dry_run: dryRun, selection, ...far, letters }
  })

/** Runs as the client reads. When it goes away the handler is interrupted, and the letters to come are left as they are. */
export const events = ({ dryRun, progress, selection }: Redriving): Stream.Stream<RedriveEvent> =>
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
          { event: "error", data: Problems.storageUnavailable(store) } satisfies RedriveEvent
        ))
      )
    )
  })
