/** One chain at work: what it knows of its routes, and the way of each call along them. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Deadline from "../../Deadline.ts"
import * as Failure from "../../Failure.ts"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import { withoutStack } from "../withoutStack.ts"
import { builtOnce } from "./builtOnce.ts"
import { edge, type Onward } from "./edges.ts"
import { type Attempt, attemptOf, FallbackExhausted, type Skipped } from "./errors.ts"
import * as Health from "./health.ts"
import { type Budget, Ledger, type Level } from "./ledger.ts"
import { expected, type Facts, type Order, sorted, type Usage } from "./order.ts"
import type { Request, Route } from "./route.ts"
import { choose, unfit } from "./select.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** An order of one's own gives names of routes; those it leaves out are not asked. */
type CustomOrder = (routes: ReadonlyArray<Facts>, request: Request) => ReadonlyArray<Facts>

export interface Settings {
  readonly name: string
  readonly order: Order | CustomOrder
  readonly cooldown: Schedule.Schedule<unknown, Failure.Info>
  readonly haltMillis: number
  /** `undefined`: what the deadline leaves. */
  readonly maxWaitMillis: number | undefined
  readonly budget: Budget | undefined
  readonly onExhausted: ((error: FallbackExhausted) => Effect.Effect<unknown>) | undefined
}

/**
 * How an answer came about.
 *
 * - `route`, `index`: who answered, and its place in the list of routes
 * - `degraded`: another one than the first that could serve what the request asks
 * - `attempts`: the routes that were asked before and failed
 *
 * @category models
 * @since 0.1.0
 */
export interface Served {
  readonly chain: string
  readonly route: string
  readonly index: number
  readonly degraded: boolean
  readonly attempts: ReadonlyArray<Attempt>
}

/**
 * Hears of each answer as it begins, of all chains that run under it. By default nobody does.
 *
 * @category services
 * @since 0.1.0
 */
export const ServedListener = Context.Reference<(served: Served) => void>(
  "effect-resilience/FallbackChain/ServedListener",
  { defaultValue: () => () => {} }
)

/** Says who answered, to all who listen. */
export const tell = (fiber: AnyFiber, served: Served): Served => {
  const reason = served.attempts[0]?.kind
  Signal.emitUnsafe(fiber, () => ({
    _tag: "FallbackServed",
    chain: served.chain,
    route: served.route,
    index: served.index,
    degraded: served.degraded,
    ...(reason === undefined ? {} : { reason })
  }))
  fiber.getRef(ServedListener)(served)
  return served
}

/** The part of a route that changes. */
class State<Provides, E, Builds, R> {
  readonly route: Route<Provides, E, Builds, R>
  facts: Facts
  readonly context: Effect.Effect<Context.Context<Provides>, E>
  health: Health.Health = Health.healthy
  /** The cooldowns of one outage; `undefined` while there is none. */
  cooldown: ((now: number, info: Failure.Info) => Pull.Pull<[unknown, Duration.Duration], never, unknown>) | undefined
  lastCooldown = 0
  /** Whether some call is just finding out how long this outage lasts. */
  stepping = false

  constructor(
    route: Route<Provides, E, Builds, R>,
    facts: Facts,
    context: Effect.Effect<Context.Context<Provides>, E>
  ) {
    this.route = route
    this.facts = facts
    this.context = context
  }
}

/** What one call has learned on its way. */
export class Walk {
  readonly request: Request
  readonly usage: Usage
  readonly eligible: ReadonlyArray<Facts>
  readonly unfit: ReadonlyArray<Skipped>
  readonly attempts: Array<Attempt> = []
  readonly tried = new Set<number>()
  /** Those of the tried ones that rest because of it, and may be asked again when that is over. */
  readonly resting = new Set<number>()
  tooShort = -Infinity
  onward: Onward = "Any"

  constructor(request: Request, usage: Usage, eligible: ReadonlyArray<Facts>, unfit: ReadonlyArray<Skipped>) {
    this.request = request
    this.usage = usage
    this.eligible = eligible
    this.unfit = unfit
  }
}

/** Which route of which chain the running attempt is on. */
export interface OnRoute {
  readonly route: string
  readonly charge: Charge
}

export const CurrentAttempt = Context.Reference<OnRoute | undefined>(
  "effect-resilience/FallbackChain/CurrentAttempt",
  { defaultValue: () => undefined }
)

export type Charge = (usage: Usage) => Effect.Effect<void>

export class Engine<Provides, E, Builds, R> {
  settings: Settings
  readonly states: ReadonlyArray<State<Provides, E, Builds, R>>
  readonly ledger: Ledger
  private level: Level = "Normal"

  constructor(
    settings: Settings,
    routes: ReadonlyArray<Route<Provides, E, Builds, R>>,
    facts: ReadonlyArray<Facts>,
    scope: Scope.Scope,
    outer: Context.Context<Builds>
  ) {
    this.settings = settings
    this.states = routes.map((route, index) => new State(route, facts[index]!, contextOf(route, scope, outer)))
    this.ledger = new Ledger(routes.length, settings.budget)
  }

  /** Begins the way of a call: which routes can serve it at all, and in which order they are asked. */
  walk(request: Request): Effect.Effect<Walk> {
    return Effect.gen({ self: this }, function*() {
      const { input = 0, output } = request.usage ?? {}
      const usage = expected(input, output)
      const needs = { size: input + (output ?? 0), minQuality: request.minQuality ?? -Infinity }
      const skipped: Array<Skipped> = []
      const fit: Array<Facts> = []
      for (const { facts, route } of this.states) {
        const reason = unfit(facts, needs) ?? ((yield* saysYes(route.options.when, request)) ? undefined : "When")
        if (reason === undefined) fit.push(facts)
        else skipped.push({ route: facts.name, reason })
      }
      const { order } = this.settings
      const eligible = typeof order === "function"
        ? order(fit, request)
        : sorted(fit, order, usage, ({ index }) => this.states[index]!.health.latency)
      return new Walk(request, usage, eligible, skipped)
    })
  }

  /** The route to ask now, waited for where that is worth while. */
  next(walk: Walk): Effect.Effect<State<Provides, E, Builds, R>, FallbackExhausted> {
    return Effect.withFiber((fiber) => {
      const now = monotonicMillis(fiber)
      const choice = choose(walk.eligible, walk, {
        health: ({ index }) => this.states[index]!.health,
        level: this.ledger.level(now),
        usage: walk.usage,
        now
      })
      switch (choice._tag) {
        case "Try":
          return Effect.succeed(this.states[choice.route.index]!)
        case "Exhausted":
          return this.exhausted(walk, choice.skipped)
        case "Wait":
          return Effect.flatMap(Deadline.remaining, (remaining) => {
            const wait = choice.until - now
            const left = Option.match(remaining, { onNone: () => Infinity, onSome: Duration.toMillis })
            // Where nobody said how long they wait, they do not.
            const limit = Math.min(left, this.settings.maxWaitMillis ?? (left === Infinity ? 0 : left))
            if (wait >= limit) return this.exhausted(walk, choice.skipped, wait)
            return Effect.flatMap(Effect.sleep(wait), () => {
              for (const index of walk.resting) {
                if (this.states[index]!.health.until > choice.until) continue
                walk.resting.delete(index)
                walk.tried.delete(index)
              }
              return this.next(walk)
            })
          })
      }
    })
  }

  private exhausted(
    walk: Walk,
    skipped: ReadonlyArray<Skipped>,
    retryAfter?: number
  ): Effect.Effect<never, FallbackExhausted> {
    const { name, onExhausted } = this.settings
    const error = withoutStack(() =>
      new FallbackExhausted({
        chain: name,
        attempts: walk.attempts,
        skipped: [...walk.unfit, ...skipped],
        ...(retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter) })
      })
    )
    return Effect.andThen(onExhausted === undefined ? Effect.void : onExhausted(error), Effect.fail(error))
  }

  /** A route failed. Says whether the call may go on. */
  failed(walk: Walk, state: State<Provides, E, Builds, R>, started: number, error: unknown): Effect.Effect<boolean> {
    return Effect.withFiber((fiber) => {
      const now = monotonicMillis(fiber)
      const info = Failure.infoUnsafe(fiber, error)
      const { fate, onward } = edge(info)
      const { facts } = state
      walk.attempts.push(attemptOf(facts.name, info, Duration.millis(now - started), error))
      walk.tried.add(facts.index)
      if (onward === "Longer") walk.tooShort = Math.max(walk.tooShort, facts.contextWindow)
      if (onward === "Permitted") walk.onward = "Permitted"
      return Effect.as(this.settle(walk, state, started, now, info, fate), onward !== "None")
    })
  }

  private settle(
    walk: Walk,
    state: State<Provides, E, Builds, R>,
    started: number,
    now: number,
    info: Failure.Info,
    fate: ReturnType<typeof edge>["fate"]
  ): Effect.Effect<void> {
    if (fate === "Keep") return Effect.void
    const asked = info.retryAfter === undefined ? 0 : Duration.toMillis(info.retryAfter)
    const rest = (reason: "Cooling" | "Limited" | "Halted", millis: number) => {
      state.health = Health.rest(state.health, reason, now + millis)
      if (state.health.until > now) walk.resting.add(state.facts.index)
    }
    if (fate === "Halt") {
      rest("Halted", this.settings.haltMillis)
      return Effect.logWarning(
        `Route "${state.facts.name}" of "${this.settings.name}" is halted: ${info.message}`
      )
    }
    if (fate === "Limit" && info.retryAfter !== undefined) return Effect.sync(() => rest("Limited", asked))
    const reason = fate === "Limit" ? "Limited" : "Cooling"
    // What was under way when the route began to rest is news of the same outage: one failure makes it longer, not all.
    if (state.stepping || !Health.isNewEpisode(state.health, started)) return Effect.sync(() => rest(reason, asked))
    return Effect.map(this.cooldownOf(state, info), (millis) => rest(reason, Math.max(millis, asked)))
  }

  /** The next wait of this outage. A schedule that has ended repeats its last one. */
  private cooldownOf(state: State<Provides, E, Builds, R>, info: Failure.Info): Effect.Effect<number> {
    state.stepping = true
    const stepped = state.cooldown === undefined
      ? Effect.map(Schedule.toStep(this.settings.cooldown), (step) => (state.cooldown = step))
      : Effect.succeed(state.cooldown)
    const wait = Effect.flatMap(
      stepped,
      (step) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Pull.matchEffect(step(now, info), {
            onSuccess: ([, wait]) => Effect.sync(() => (state.lastCooldown = Duration.toMillis(wait))),
            onFailure: () => Effect.succeed(state.lastCooldown),
            onDone: () => Effect.succeed(state.lastCooldown)
          }))
    )
    return Effect.ensuring(wait, Effect.sync(() => (state.stepping = false)))
  }

  /** A route began to answer. */
  served(fiber: AnyFiber, walk: Walk, state: State<Provides, E, Builds, R>): Served {
    const { index, name: route } = state.facts
    return tell(fiber, {
      chain: this.settings.name,
      route,
      index,
      degraded: walk.eligible[0]?.index !== index,
      attempts: walk.attempts.slice()
    })
  }

  /** A route answered to the end; it began after `latency` milliseconds. */
  answered(state: State<Provides, E, Builds, R>, started: number, latency: number): void {
    if (Health.isNewEpisode(state.health, started)) {
      state.cooldown = undefined
      state.lastCooldown = 0
    }
    state.health = Health.answered(state.health, started, latency)
  }

  /** What runs on a route knows of it. */
  onRoute(state: State<Provides, E, Builds, R>): OnRoute {
    return { route: state.facts.name, charge: this.chargeFor(state) }
  }

  /** Writes into the ledger, and says when that moves the budget to another level. */
  private readonly chargeFor = (state: State<Provides, E, Builds, R>): Charge => (usage) =>
    Effect.withFiber((fiber) => {
      const now = monotonicMillis(fiber)
      this.ledger.charge(state.facts.index, state.facts.price, usage, now)
      const level = this.ledger.level(now)
      if (level === this.level) return Effect.void
      this.level = level
      return level === "Normal" ? Effect.void : Effect.logWarning(
        `The budget of "${this.settings.name}" is at ${
          this.ledger.spent(now)
        } of ${this.settings.budget?.limit}: ${level}`
      )
    })

  /** Other settings and facts, for the calls that begin. Routes keep their health and the ledger what was spent. */
  reconfigure(settings: Settings, facts: ReadonlyArray<Facts>): void {
    this.settings = settings
    this.ledger.budget = settings.budget
    this.states.forEach((state, index) => {
      state.facts = facts[index]!
    })
  }

  reset(name: string): void {
    for (const state of this.states) {
      if (state.facts.name !== name) continue
      state.health = Health.healthy
      state.cooldown = undefined
      state.lastCooldown = 0
    }
  }
}

const saysYes = (
  when: ((request: Request) => boolean | Effect.Effect<boolean>) | undefined,
  request: Request
): Effect.Effect<boolean> => {
  if (when === undefined) return Effect.succeed(true)
  const answer = when(request)
  return typeof answer === "boolean" ? Effect.succeed(answer) : answer
}

const isLayer = <Provides, E, Builds>(
  provide: Layer.Layer<Provides, E, Builds> | Context.Context<Provides>
): provide is Layer.Layer<Provides, E, Builds> => Layer.isLayer(provide)

/** What a route provides: a layer is built by who first asks for it, with what the chain was made with. */
const contextOf = <Provides, E, Builds, R>(
  { provide }: Route<Provides, E, Builds, R>,
  scope: Scope.Scope,
  outer: Context.Context<Builds>
): Effect.Effect<Context.Context<Provides>, E> =>
  isLayer(provide) ? builtOnce(provide, scope, outer) : Effect.succeed(provide)
