/**
 * What stands in front of the instances, and does what any load balancer does: it asks them whether they are ready, gives each
 * request to the next one that is, and goes on to another where nobody accepts the connection. It sends nothing twice.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isRefusedConnection, type Reply, type Request, send as sendTo } from "./http.ts"

/** An instance, as it is known here. A restarted one has another origin, and is the same member. */
export interface Member {
  readonly name: string
  origin: string
  isReady: boolean
  inFlight: number
}

/** A request got no reply: the connection broke, or nobody was ready for too long. */
export class NoReply extends Data.TaggedError("NoReply")<{ readonly reason: string }> {}

/** The running balancer. */
export interface Balancer {
  readonly members: ReadonlyArray<Member>
  readonly send: (request: Request) => Effect.Effect<Reply, NoReply, HttpClient.HttpClient>
  /** Waits until nothing is under way at a member; it has to be one that gets nothing new. */
  readonly drained: (member: Member) => Effect.Effect<void>
  /** Waits until a member is known to be ready no more. */
  readonly left: (member: Member) => Effect.Effect<void>
  /** Waits until a member is ready. */
  readonly ready: (member: Member) => Effect.Effect<void>
}

/** How often members are asked, and how long a request waits for one that is ready. */
const interval = "100 millis"
const patience = "10 seconds"

const look = (member: Member) =>
  Effect.gen(function*() {
    const { origin } = member
    const isReady = yield* sendTo(origin, { method: "GET", path: "/health/ready" }).pipe(
      Effect.map(({ status }) => status === 200),
      Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed(false) }),
      Effect.orElseSucceed(() => false)
    )
    // It may have been replaced meanwhile.
    if (member.origin === origin) member.isReady = isReady
  })

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.sync(condition), { schedule: Schedule.spaced("10 millis"), until: (is) => is }))

/** A balancer in front of these instances, until the scope closes. */
export const make = (
  instances: ReadonlyArray<{ readonly name: string; readonly origin: string }>
): Effect.Effect<Balancer, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const members = instances.map(({ name, origin }): Member => ({ name, origin, isReady: false, inFlight: 0 }))
    yield* Effect.forEach(
      members,
      (member) => Effect.forkScoped(Effect.repeat(look(member), Schedule.spaced(interval)))
    )

    let turn = 0
    const next = (): Member | undefined => {
      const ready = members.filter(({ isReady }) => isReady)
      return ready[turn++ % ready.length]
    }
    const oneOf = Effect.repeat(Effect.sync(next), {
      schedule: Schedule.spaced("10 millis"),
      until: (member) => member !== undefined
    }).pipe(
      // `repeat` gives what `until` was content with.
      Effect.map((member) => member as Member),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(new NoReply({ reason: "no instance was ready" }))
      })
    )

    const send = (request: Request): Effect.Effect<Reply, NoReply, HttpClient.HttpClient> =>
      Effect.flatMap(oneOf, (member) => {
        member.inFlight++
        return sendTo(member.origin, request).pipe(
          Effect.ensuring(Effect.sync(() => member.inFlight--)),
          Effect.catch((error) => {
            if (!isRefusedConnection(error)) return Effect.fail(new NoReply({ reason: reasonOf(error) }))
            member.isReady = false
            return send(request)
          })
        )
      })

    return {
      members,
      send,
      drained: (member) => until(() => member.inFlight === 0),
      left: (member) => until(() => !member.isReady),
      ready: (member) => until(() => member.isReady)
    }
  })

/** The innermost cause says most. */
const reasonOf = (error: unknown): string => {
  let at = error
  while (at instanceof Error && at.cause !== undefined) at = at.cause
  return at instanceof Error ? at.message : String(at)
}
