/** Asks the store, and does without it when it does not answer. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { answerWithin } from "../answerWithin.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { Asked, Asking } from "./checks.ts"
import type { Outcome } from "./decide.ts"
import * as Decision from "./decision.ts"
import { DenialCache } from "./denialCache.ts"
import { RateLimiterStoreError } from "./errors.ts"
import type { Memory } from "./memory.ts"
import type { Command, RateLimiterStore, Settlement } from "./store.ts"

export interface Settings {
  readonly storeTimeoutMillis: number
  /** 0: denials are not remembered. */
  readonly cacheDenialsMillis: number
}

/** A decision, and where what it took is settled. */
export interface Answer {
  readonly decision: Decision.Decision
  readonly outcomes: ReadonlyArray<Outcome> | undefined
  /** `undefined`: nothing was taken anywhere. */
  readonly settle: ((settlement: Settlement) => Effect.Effect<boolean, RateLimiterStoreError>) | undefined
}

export class Engine {
  private readonly store: RateLimiterStore["Service"]
  /** Decides for rules that are `local` when the store is down. */
  private readonly local: Memory
  private readonly settings: Settings
  private readonly denials: DenialCache | undefined
  private readonly instance: string
  private holds = 0

  constructor(store: RateLimiterStore["Service"], local: Memory, settings: Settings, instance: string) {
    this.store = store
    this.local = local
    this.settings = settings
    this.instance = instance
    this.denials = settings.cacheDenialsMillis > 0 && store.decideUnsafe === undefined
      ? new DenialCache(settings.cacheDenialsMillis)
      : undefined
  }

  /** A name that no other hold has, in any process. */
  nextHold(): string {
    return `${this.instance}-${(this.holds++).toString(36)}`
  }

  /** Never fails, and never takes longer than the store's timeout. Tells what it decided, unless it only looks. */
  ask(asked: Asked, hold: string, peek = false): Effect.Effect<Answer> {
    return Effect.withFiber((fiber) => {
      const { entries, subjects } = asked
      const request = { entries, subjects, peek, hold }
      if (this.store.decideUnsafe !== undefined) {
        const reply = this.store.decideUnsafe(fiber, request)
        return Effect.succeed(
          reply instanceof RateLimiterStoreError
            ? this.degraded(fiber, asked, hold, peek)
            : this.answered(fiber, asked, reply, peek)
        )
      }
      const known = this.denials?.find(entries, monotonicMillis(fiber))
      if (known !== undefined) return Effect.succeed(this.answered(fiber, asked, known, peek))
      const decided = Effect.asSome(this.store.decide(request))
      return answerWithin(decided, this.settings.storeTimeoutMillis, Effect.succeedNone).pipe(
        Effect.catch(() => Effect.succeedNone),
        Effect.map((reply) => {
          if (Option.isNone(reply)) return this.degraded(fiber, asked, hold, peek)
          this.denials?.remember(entries, reply.value, monotonicMillis(fiber))
          return this.answered(fiber, asked, reply.value, peek)
        })
      )
    })
  }

  /** The decision alone; in this process, in one step. */
  decide(asked: Asked, hold: string): Effect.Effect<Decision.Decision> {
    const { decideUnsafe } = this.store
    if (decideUnsafe === undefined) return Effect.map(this.ask(asked, hold), ({ decision }) => decision)
    return Effect.withFiber((fiber) => {
      const reply = decideUnsafe(fiber, { entries: asked.entries, subjects: asked.subjects, peek: false, hold })
      if (reply instanceof RateLimiterStoreError) {
        return Effect.succeed(this.degraded(fiber, asked, hold, false).decision)
      }
      const decision = Decision.fromReply(asked, reply)
      Decision.emit(fiber, asked, decision, reply.outcomes)
      return Effect.succeed(decision)
    })
  }

  /** As the store says, within its timeout. */
  settle(answer: Answer, settlement: Settlement): Effect.Effect<boolean, RateLimiterStoreError> {
    if (answer.settle === undefined) return Effect.succeed(true)
    return this.within("settle", answer.settle(settlement))
  }

  /** Gives back what a request that did not end may have taken. */
  abandon(asked: Asked, hold: string): Effect.Effect<void> {
    const settlement: Settlement = {
      hold,
      entries: asked.entries.map((entry) => ({ ...entry, charge: 0 })),
      renew: undefined,
      force: false
    }
    return Effect.ignore(this.within("settle", this.store.settle(settlement)))
  }

  command(command: Command): Effect.Effect<void, RateLimiterStoreError> {
    this.denials?.clear()
    return this.within("command", this.store.command(command))
  }

  get polls(): boolean {
    return this.store.decideUnsafe === undefined
  }

  private within<A>(
    operation: RateLimiterStoreError["operation"],
    self: Effect.Effect<A, RateLimiterStoreError>
  ): Effect.Effect<A, RateLimiterStoreError> {
    if (this.store.decideUnsafe !== undefined) return self
    return answerWithin(
      self,
      this.settings.storeTimeoutMillis,
      Effect.suspend(() =>
        Effect.fail(new RateLimiterStoreError({ operation, cause: new Error("The store did not answer in time") }))
      )
    )
  }

  private answered(
    fiber: Fiber.Fiber<unknown, unknown>,
    asked: Asked,
    reply: Parameters<typeof Decision.fromReply>[1],
    peek: boolean
  ): Answer {
    const decision = Decision.fromReply(asked, reply)
    if (!peek) Decision.emit(fiber, asked, decision, reply.outcomes)
    return {
      decision,
      outcomes: reply.outcomes,
      settle: decision._tag === "Allowed" ? this.store.settle : undefined
    }
  }

  /** The strictest rule decides: closed before local before open. Shadows have no say. */
  private degraded(fiber: Fiber.Fiber<unknown, unknown>, asked: Asked, hold: string, peek: boolean): Answer {
    const strict = asked.entries.filter(({ rule }) => !rule.shadow)
    const closed = strict.find(({ rule }) => rule.onStoreError === "closed")
    const local = strict.filter(({ rule }) => rule.localShape !== undefined)
    const first = closed ?? local[0] ?? strict[0] ?? asked.entries[0]!
    const told = (mode: "open" | "closed" | "local", rules: ReadonlyArray<Decision.RuleState>): Decision.Decision => ({
      _tag: "StoreUnavailable",
      mode,
      policy: first.policy,
      rule: first.rule.name,
      key: first.key,
      rules
    })
    const answer = (decision: Decision.Decision, rest?: Partial<Answer>): Answer => {
      if (!peek) Decision.emit(fiber, asked, decision, undefined)
      return { decision, outcomes: undefined, settle: undefined, ...rest }
    }
    if (closed !== undefined) return answer(told("closed", []))
    if (local.length === 0) return answer(told("open", []))
    const entries = local.map((entry): Asking => Object.assign({}, entry, { shape: entry.rule.localShape! }))
    const reply = this.local.decide(fiber, { entries, subjects: [], peek, hold })
    // A local store that is full of exhausted keys cannot count this one.
    if (reply instanceof RateLimiterStoreError) return answer(told("closed", []))
    const decision = Decision.fromReply({ ...asked, entries }, reply)
    if (decision._tag === "Denied") {
      if (!peek) Decision.emit(fiber, { ...asked, entries }, decision, reply.outcomes)
      return { decision, outcomes: reply.outcomes, settle: undefined }
    }
    return answer(told("local", decision.rules), {
      settle: (settlement) => Effect.withFiber((fiber) => Effect.succeed(this.local.settle(fiber, settlement)))
    })
  }
}
