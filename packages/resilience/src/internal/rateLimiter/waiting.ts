/** Waiting for room: bounded in time and in number, and given up at once where it cannot succeed. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { Asked } from "./checks.ts"
import * as Decision from "./decision.ts"
import type { Answer, Engine } from "./engine.ts"
import { type RateLimited, rateLimited, type RateLimiterUnavailable } from "./errors.ts"
import type { Room, Waiter } from "./room.ts"

/** How often a store that other processes use is asked, while what they hold stands in the way. */
const pollMillis = 100

export interface Bounds {
  readonly maxWaitMillis: number
  readonly maxQueue: number
}

/** A refusal, and when the rules that gave it have room again if nobody else comes. */
interface Refusal {
  readonly denied: Decision.Denied
  readonly answer: Answer
  readonly at: number
  readonly due: number
}

export class Visitor implements Waiter {
  readonly tenant: string
  readonly cost: number
  readonly asked: Asked
  wake: (() => void) | undefined = undefined

  constructor(asked: Asked, tenant: string, cost: number) {
    this.asked = asked
    this.tenant = tenant
    this.cost = cost
  }
}

/** What those who wait in a room know of each other. */
export interface Line {
  readonly room: Room<Visitor>
  /** All ask for the same rules of the same keys, and are served as they came: what is ahead of one can be added up. */
  readonly uniform: boolean
  /** In place of `maxQueue` for the whole room. */
  readonly isFull?: ((visitor: Visitor) => boolean) | undefined
  /** What everybody in the room asks for, by entry. */
  ahead: Array<number>
  refusal: Refusal | undefined
}

export const wait = (
  engine: Engine,
  line: Line,
  visitor: Visitor,
  bounds: Bounds,
  hold: string
): Effect.Effect<Answer, RateLimited | RateLimiterUnavailable> =>
  Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    const { asked } = visitor
    const deadline = now + bounds.maxWaitMillis
    const { refusal, room } = line
    if (room.current !== undefined) {
      const wait = refusal === undefined ? 0 : Math.max(0, Math.ceil(forecast(line, asked, refusal) - now))
      const isFull = line.isFull === undefined ? room.size >= bounds.maxQueue : line.isFull(visitor)
      if (refusal === undefined && isFull) return full(engine, visitor, hold)
      if (refusal !== undefined && (isFull || wait > bounds.maxWaitMillis)) {
        const denied = { ...refusal.denied, retryAfter: Duration.millis(wait) }
        return Effect.fail(rateLimited(denied, isFull ? "QueueFull" : undefined))
      }
    }
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        room.enter(visitor)
        tell(fiber, line, visitor)
        if (line.uniform) {
          asked.entries.forEach(({ cost }, index) => line.ahead[index] = (line.ahead[index] ?? 0) + cost)
        }
      }),
      () => Effect.andThen(turn(line, visitor, deadline), ask(engine, line, visitor, bounds, deadline, hold)),
      () =>
        Effect.sync(() => {
          if (line.uniform) asked.entries.forEach(({ cost }, index) => line.ahead[index]! -= cost)
          if (room.current === visitor) line.refusal = undefined
          room.leave(visitor)
          tell(fiber, line, visitor, monotonicMillis(fiber) - now)
        })
    )
  })

/** The first policy that a call is checked against names its line. */
const tell = (fiber: Fiber.Fiber<unknown, unknown>, { room }: Line, { asked }: Visitor, waited?: number): void =>
  Signal.emitUnsafe(fiber, () => ({
    _tag: "LimitWaited",
    policy: asked.policies[0]!.name,
    waiting: room.size,
    ...(waited === undefined ? {} : { waited: Duration.millis(waited) })
  }))

/** Waits until it is this one's turn, or too late. */
const turn = (line: Line, visitor: Visitor, deadline: number): Effect.Effect<void> =>
  Effect.suspend(() => line.room.current === visitor ? Effect.void : sleepUntil(visitor, deadline))

const ask = (
  engine: Engine,
  line: Line,
  visitor: Visitor,
  bounds: Bounds,
  deadline: number,
  hold: string
): Effect.Effect<Answer, RateLimited | RateLimiterUnavailable> =>
  Effect.suspend(() => {
    const { asked } = visitor
    // Out of time before it was its turn: looking tells what stands in the way, and takes nothing.
    const isTurn = line.room.current === visitor
    return Effect.flatMap(engine.ask(asked, hold, !isTurn), (answer) =>
      Effect.withFiber((fiber) => {
        const { decision } = answer
        if (decision._tag === "StoreUnavailable") {
          return decision.mode === "closed" ? Effect.fail(Decision.unavailable(decision)) : Effect.succeed(answer)
        }
        if (decision._tag === "Allowed") {
          return isTurn
            ? Effect.succeed(answer)
            : Effect.fail(rateLimited(late(answer, visitor)))
        }
        const now = monotonicMillis(fiber)
        const due = now + Duration.toMillis(decision.retryAfter)
        const firm = !answer.outcomes!.some(({ held, wait }) => wait > 0 && held > 0)
        if (!isTurn || decision.never || now >= deadline || firm && due > deadline) {
          return Effect.fail(rateLimited(decision))
        }
        if (bounds.maxQueue === 0) return Effect.fail(rateLimited(decision, "QueueFull"))
        line.refusal = firm ? { denied: decision, answer, at: now, due } : undefined
        const next = firm ? due : Math.min(due, deadline, engine.polls ? now + pollMillis : Infinity)
        return Effect.andThen(
          sleepUntil(visitor, next),
          ask(engine, line, visitor, bounds, deadline, hold)
        )
      }))
  })

/** There is room, but others are before this one, and its time is up. */
const late = ({ decision: { rules } }: Answer, { asked }: Visitor): Decision.Denied => {
  const { limit, policy, remaining, resetAfter, rule } = rules[0]!
  return {
    _tag: "Denied",
    policy,
    rule,
    key: asked.entries[0]!.key,
    limit,
    remaining,
    reset: resetAfter,
    retryAfter: Duration.zero,
    never: false,
    reason: "Limit",
    rules
  }
}

const full = (engine: Engine, visitor: Visitor, hold: string) =>
  Effect.flatMap(engine.ask(visitor.asked, hold, true), (answer) =>
    Effect.fail(
      answer.decision._tag === "StoreUnavailable" && answer.decision.mode === "closed"
        ? Decision.unavailable(answer.decision)
        : rateLimited(answer.decision._tag === "Denied" ? answer.decision : late(answer, visitor), "QueueFull")
    ))

/** Until this time of the monotonic clock, or until woken. */
const sleepUntil = (visitor: Visitor, time: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const millis = Math.ceil(time - monotonicMillis(fiber))
    const woken = Effect.callback<void>((resume) => {
      visitor.wake = () => {
        visitor.wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        visitor.wake = undefined
      })
    })
    if (millis === Infinity) return woken
    return millis <= 0 ? Effect.void : Effect.raceFirst(woken, fiber.getRef(Clock.Clock).sleep(Duration.millis(millis)))
  })

/**
 * The earliest time at which a newcomer can have room, given that those before it take theirs first. It may be later; it cannot be
 * earlier unless those before it give up or something is given back.
 */
const forecast = (line: Line, asked: Asked, { answer, at, due }: Refusal): number => {
  if (!line.uniform) return due
  let earliest = due
  asked.entries.forEach(({ cost, shadow, shape }, index) => {
    if (shadow) return
    const total = line.ahead[index]! + cost
    const { wait } = answer.outcomes![index]!
    if (shape.kind === "sliding") {
      // All of it is taken from when the first in line gets its own, at most a limit of it in a window.
      earliest = Math.max(earliest, due + (Math.ceil(total / shape.limit) - 1) * shape.window)
    } else if (shape.kind === "fixed" && wait > 0) {
      earliest = Math.max(earliest, at + wait + (Math.ceil(total / shape.limit) - 1) * shape.window)
    } else if (shape.kind === "meter" && wait > 0) {
      // The first in line waits for exactly what it asks for, so nothing is spare when it gets it.
      const spare = shape.weight === 0 ? cost : line.room.current!.asked.entries[index]!.cost
      earliest = Math.max(earliest, at + wait + Math.floor((total - spare) / shape.rate * shape.per) - 1)
    }
  })
  return earliest
}
