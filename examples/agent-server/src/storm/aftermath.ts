/** What is done when the storm is over: letters are redriven, and everything is counted. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Balancer } from "./Balancer.ts"
import * as Books from "./books.ts"
import type { Outcome } from "./client.ts"
import * as Operator from "./Operator.ts"
import type { Message } from "./stored.ts"
import type { Facts } from "./verdict.ts"
import { type NoWorld, orNoWorld, type World } from "./world.ts"

const operatorsOf = (world: World, balancer: Balancer) =>
  Effect.forEach(balancer.members, ({ origin }) => Operator.at(origin, world.adminKey))

/** Circuits forget the storm, and then every dead letter is done again. */
export const redrive = (world: World, balancer: Balancer) =>
  Effect.gen(function*() {
    const [operator] = yield* operatorsOf(world, balancer)
    if (operator === undefined) return undefined
    const { circuit_breakers } = yield* operator.circuitBreakers.list()
    yield* Effect.forEach(
      circuit_breakers,
      ({ name }) => operator.circuitBreakers.reset({ params: { name }, query: {} })
    )
    const report = yield* operator.deadLetters.redrive({ payload: { filter: {}, concurrency: 8 } })
    // It was not asked for as a stream.
    return Stream.isStream(report) ? undefined : { total: report.total, redriven: report.counts.redriven }
  }).pipe(orNoWorld)

/** The books of all instances, those that were stopped included. */
export const books = (
  world: World,
  balancer: Balancer,
  closed: ReadonlyArray<ReadonlyArray<Books.Line>> | undefined
) =>
  Effect.gen(function*() {
    const open = yield* Effect.flatMap(operatorsOf(world, balancer), Effect.forEach(Books.settled))
    return closed === undefined ? undefined : Books.total([...closed, ...open])
  }).pipe(orNoWorld)

const Session = Schema.Struct({
  messages: Schema.Array(Schema.Struct({
    role: Schema.String,
    content: Schema.String,
    served: Schema.optional(Schema.Struct({ route: Schema.String }))
  }))
})

const decodeSession = Schema.decodeUnknownOption(Schema.fromJsonString(Session))

/** Every session that a reply or a letter named. One that is not there has no messages. */
export const sessions = (
  world: World,
  balancer: Balancer,
  outcomes: ReadonlyArray<Outcome>
): Effect.Effect<Facts["sessions"], NoWorld, Effect.Services<ReturnType<Balancer["send"]>>> =>
  Effect.gen(function*() {
    const ids = new Set(outcomes.flatMap(({ result }) =>
      (result._tag === "Answered" || result._tag === "Failed") && result.sessionId !== undefined
        ? [result.sessionId]
        : []
    ))
    const headers: Readonly<Record<string, string>> = world.apiKey === undefined ? {} : { "x-api-key": world.apiKey }
    const all = yield* Effect.forEach(ids, (id) =>
      Effect.map(balancer.send({ method: "GET", path: `/v1/sessions/${id}`, headers }), ({ text }) => {
        const session = Option.getOrUndefined(decodeSession(text))
        return [id, session?.messages ?? []] as readonly [string, ReadonlyArray<Message>]
      }), { concurrency: 16 })
    return new Map(all)
  }).pipe(orNoWorld)
