/** `dlq`: the commands, and what each does. */
import type { RedriveReport } from "effect-resilience/http/AdminApi"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { filterFlags, filterOf } from "./filters.ts"
import { layer as operator, Operator, type Target } from "./Operator.ts"
import { Output } from "./Output.ts"
import { Refused } from "./Refused.ts"
import * as render from "./render.ts"
import { Usage } from "./runMain.ts"

/** The command was done, and some of its letters are not where they were to go. */
export class SomeFailed extends Data.TaggedError("SomeFailed") {}

const shared = {
  url: Flag.String("url").pipe(
    Flag.withDefault("http://127.0.0.1:8080"),
    Flag.withDescription("Where the server is")
  ),
  adminKey: Flag.Redacted("admin-key").pipe(
    Flag.withFallbackConfig(Config.Redacted("ADMIN_KEY")),
    Flag.optional,
    Flag.withDescription("The server's admin key; without it that of ADMIN_KEY")
  ),
  json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("For programs: JSON, a value a line"))
}

const dlq = Command.make("dlq").pipe(Command.withSharedFlags(shared))

/** Runs a command's work with the server that its flags name. */
const atServer = <E, R>(work: (asJson: boolean) => Effect.Effect<void, E, R>) =>
  Effect.flatMap(dlq, ({ adminKey, json, url }) => {
    const target: Target = { url, adminKey: Option.getOrUndefined(adminKey) }
    return Effect.provide(work(json), operator(target))
  })

const between = (name: string, minimum: number, maximum: number) =>
  Flag.Int(name).pipe(
    Flag.filter((n) => n >= minimum && n <= maximum, () => `a whole number from ${minimum} to ${maximum}`)
  )

const someIds = Argument.String("id").pipe(Argument.variadic(), Argument.withDescription("Ids of letters"))

// -----------------------------------------------------------------------------
// Looking
// -----------------------------------------------------------------------------

const list = Command.make("list", {
  ...filterFlags,
  limit: between("limit", 1, 1000).pipe(Flag.withDefault(20), Flag.withDescription("From 1 to 1000")),
  order: Flag.Literals("order", ["newest", "oldest"]).pipe(Flag.withDefault("newest")),
  cursor: Flag.String("cursor").pipe(Flag.optional, Flag.withDescription("Where the list before ended"))
}, ({ cursor, limit, order, ...flags }) =>
  atServer(Effect.fnUntraced(function*(asJson) {
    const output = yield* Output
    const page = yield* Effect.flatMap(Operator, (server) =>
      server.list({ ...filterOf(flags), limit, ...(Option.isSome(cursor) ? { cursor: cursor.value } : { order }) }))
    if (asJson) {
      return yield* output.line(JSON.stringify(page))
    }
    if (page.letters.length === 0) {
      return yield* output.say("There are no such letters.")
    }
    yield* Effect.forEach(render.letters(page.letters), output.line)
    if (page.cursor !== null) {
      yield* output.say(`There are more: --cursor ${page.cursor}`)
    }
  }))).pipe(Command.withDescription("List dead letters, the newest first"))

const show = Command.make(
  "show",
  { id: Argument.String("id") },
  ({ id }) =>
    atServer(Effect.fnUntraced(function*(asJson) {
      const output = yield* Output
      const letter = yield* Effect.flatMap(Operator, (server) => server.get(id))
      if (asJson) return yield* output.line(JSON.stringify(letter))
      yield* Effect.forEach(render.letter(letter), output.line)
    }))
).pipe(Command.withDescription("Show a letter with what is in it, and what happened to it"))

const report = Command.make("report", {}, () =>
  atServer(Effect.fnUntraced(function*(asJson) {
    const output = yield* Output
    const numbers = yield* Effect.flatMap(Operator, (server) => server.report)
    if (asJson) return yield* output.line(JSON.stringify(numbers))
    yield* Effect.forEach(render.report(numbers), output.line)
  }))).pipe(Command.withDescription("The queue in numbers"))

const exported = Command.make("export", filterFlags, (flags) =>
  atServer(() =>
    Effect.gen(function*() {
      const output = yield* Output
      const server = yield* Operator
      let lines = 0
      yield* Stream.runForEach(server.export(filterOf(flags)), (text) => {
        lines += text.split("\n").length - 1
        return output.text(text)
      })
      yield* output.say(`${lines} ${lines === 1 ? "letter" : "letters"}`)
    })
  )).pipe(Command.withDescription("Write letters as lines of JSON, the oldest first; sealed ones stay sealed"))

// -----------------------------------------------------------------------------
// Acting
// -----------------------------------------------------------------------------

const redrive = Command.make("redrive", {
  ids: someIds,
  all: Flag.Boolean("all").pipe(Flag.withDefault(false), Flag.withDescription("All dead letters")),
  dryRun: Flag.Boolean("dry-run").pipe(Flag.withDefault(false), Flag.withDescription("Only say what would be done")),
  rate: between("rate", 1, 100_000).pipe(Flag.optional, Flag.withDescription("At most so many a second")),
  concurrency: between("concurrency", 1, 100).pipe(
    Flag.optional,
    Flag.withDescription("So many at once; 1 without it")
  ),
  ...filterFlags
}, ({ all, concurrency, dryRun, ids, rate, ...flags }) =>
  atServer(Effect.fnUntraced(function*(asJson) {
    const filter = filterOf(flags)
    const hasFilter = Object.keys(filter).length > 0
    if ([ids.length > 0, hasFilter, all].filter(Boolean).length !== 1) {
      return yield* new Usage({ sentence: "Say which letters: ids, or a filter such as --kind Timeout, or --all." })
    }
    const selected = ids.length > 0 ? { ids } : { filter }
    const server = yield* Operator
    const events = server.redrive({
      ...selected,
      dry_run: dryRun,
      ...(Option.isSome(rate) ? { rate: rate.value } : {}),
      ...(Option.isSome(concurrency) ? { concurrency: concurrency.value } : {})
    })
    const done = yield* follow(events, { asJson, dryRun })
    if (done === undefined) return yield* new Refused({ sentence: "The server ended the redrive before its end." })
    const { counts } = done
    const missed = counts.failed + counts.quarantined + counts.givenBack + counts.leaseLost
    if (missed + (ids.length > 0 ? counts.skipped : 0) > 0) return yield* new SomeFailed()
  }))).pipe(Command.withDescription("Do the work of letters again: turns are completed in their sessions"))

type Events = ReturnType<Operator["Service"]["redrive"]>

/** Tells of each letter as it comes, and of them all at the end. */
const follow = (events: Events, { asJson, dryRun }: { readonly asJson: boolean; readonly dryRun: boolean }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const title = dryRun ? "looking" : "redriving"
    let far = { done: 0, total: 0 }
    let end: RedriveReport | undefined
    yield* Stream.runForEach(events, (event) =>
      Effect.gen(function*() {
        if (event.event === "error") return yield* new Refused({ sentence: event.data.message })
        if (asJson) yield* output.line(JSON.stringify({ event: event.event, ...event.data }))
        if (event.event === "done") end = event.data
        if (event.event !== "progress") return
        far = event.data
        const { counts, failure, id, outcome } = event.data
        if (failure !== null && !asJson) yield* output.say(`${id} ${outcome}: ${render.plain(failure.message)}`)
        yield* output.progress(title, { ...far, note: render.outcomes(counts) })
      })).pipe(
        Effect.ensuring(output.progressDone),
        Effect.onInterrupt(() =>
          output.say(`Stopped after ${far.done} of ${far.total}. The others are as they were; redrive again to go on.`)
        )
      )
    if (end !== undefined && !asJson) {
      yield* output.line(`${dryRun ? "would be handed over: " : ""}${render.outcomes(end.counts)} of ${end.total}`)
    }
    return end
  })

const discard = Command.make("discard", {
  ids: someIds,
  reason: Flag.String("reason").pipe(Flag.withDescription("Why: it is kept with the letter"))
}, ({ ids, reason }) =>
  atServer(Effect.fnUntraced(function*(asJson) {
    if (ids.length === 0) return yield* new Usage({ sentence: "Say which letters to discard, by their ids." })
    const output = yield* Output
    const server = yield* Operator
    let refused = 0
    for (const id of ids) {
      const result = yield* Effect.result(server.discard(id, reason))
      if (result._tag === "Success") {
        yield* output.line(asJson ? JSON.stringify(result.success) : `${id} Discarded`)
      } else {
        refused++
        yield* output.say(ids.length === 1 ? result.failure.sentence : `${id}: ${result.failure.sentence}`)
      }
    }
    if (refused > 0) return yield* new SomeFailed()
  }))).pipe(Command.withDescription("Give letters up, for a reason"))

/** The program. */
export const program = dlq.pipe(
  Command.withDescription("Looks after the dead letters of a running agent server"),
  Command.withSubcommands([list, show, redrive, discard, report, exported])
)
