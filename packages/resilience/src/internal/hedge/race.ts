/**
 * One hedged call: a primary, hedges that join it while it is slow, and one result.
 *
 * Each attempt runs in a fiber of its own, and, where the caller has a `Scope`, in a scope of its own: what a loser has
 * acquired is released with it, and what the winner has acquired moves to the caller's scope.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { AttemptScope } from "./attemptScope.ts"

/** What one call asks of its hedge. */
export interface Rules {
  /** Takes a hedge from the budget. `false`: there is none. */
  readonly take: () => boolean
  /**
   * Waits and launches hedges for as long as `launch` says that another may follow; `undefined`: there will be no
   * hedge, so there is no need to wait.
   */
  readonly timer: (launch: () => boolean) => Effect.Effect<void> | undefined
  /** The primary has ended, or was given up for another attempt or because nobody waits any more. */
  readonly primaryEnded: (succeeded: boolean) => void
  /**
   * The call has its result; losers are interrupted right after. `winner` is `undefined` when there was none: the call
   * was interrupted. `refused` says that the budget had no hedge for it.
   */
  readonly ended: (winner: number | undefined, hedges: number, refused: boolean) => void
}

export const race = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  max: number,
  rules: (fiber: Fiber.Fiber<unknown, unknown>) => Rules
): Effect.Effect<A, E, R> =>
  Effect.withFiber((parent) => {
    const call = new Race(self, max, rules(parent), parent)
    return Effect.onExitPrimitive(
      Effect.callback<A, E>((resume) => call.start(resume)),
      (exit) => call.close(exit)
    )
  })

class Race<A, E, R> {
  private readonly self: Effect.Effect<A, E, R>
  private readonly max: number
  private readonly rules: Rules
  private readonly parent: Fiber.Fiber<unknown, unknown>
  private readonly outer: Scope.Scope | undefined
  private resume: ((exit: Exit.Exit<A, E>) => void) | undefined
  private readonly fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  private launched = 0
  private running = 0
  private refused = false
  /** The attempt that gives the result, once there is one. */
  private winner: number | undefined
  private winnersScope: AttemptScope | undefined
  private primaryExit: Exit.Exit<A, E> | undefined
  private hasResult = false

  constructor(self: Effect.Effect<A, E, R>, max: number, rules: Rules, parent: Fiber.Fiber<unknown, unknown>) {
    this.self = self
    this.max = max
    this.rules = rules
    this.parent = parent
    this.outer = Context.getOrUndefined(parent.context, Scope.Scope)
  }

  start(resume: (exit: Exit.Exit<A, E>) => void): void {
    this.resume = resume
    this.launch()
    if (this.hasResult) return
    const timer = this.rules.timer(() => this.hedge())
    if (timer !== undefined) this.fibers.push(Effect.runForkWith(this.parent.context)(timer))
  }

  private hedge(): boolean {
    if (this.winner !== undefined) return false
    if (!this.rules.take()) {
      this.refused = true
      return false
    }
    this.launch()
    return this.winner === undefined && this.launched <= this.max
  }

  private launch(): void {
    const index = this.launched++
    this.running++
    const fiber = this.fork(index)
    this.fibers.push(fiber)
    fiber.addObserver((exit) => this.settled(index, exit))
  }

  private fork(index: number): Fiber.Fiber<A, E> {
    // The parent's context is that of R: its fiber runs an effect that needs R.
    const context = this.parent.context as Context.Context<R>
    if (this.outer === undefined) return Effect.runForkWith(context)(this.self)
    const scope = new AttemptScope(this.outer)
    return Effect.runForkWith(Context.add(context, Scope.Scope, scope))(
      Effect.onExitPrimitive(this.self, (exit) => {
        if (!Exit.isSuccess(exit) || !this.claim(index)) return scope.closeUnsafe(exit)
        this.winnersScope = scope
        return undefined
      })
    )
  }

  /** Whether this attempt gives the result: the first that asks. */
  private claim(index: number): boolean {
    this.winner ??= index
    return this.winner === index
  }

  private settled(index: number, exit: Exit.Exit<A, E>): void {
    this.running--
    if (index === 0) {
      if (this.primaryExit === undefined) this.rules.primaryEnded(Exit.isSuccess(exit))
      this.primaryExit = exit
    }
    if (this.winner !== undefined && this.winner !== index) return
    if (Exit.isSuccess(exit) || !isFailure(exit.cause)) {
      this.claim(index)
      this.finish(exit)
    } else if (this.running === 0) {
      // All have failed, the primary among them: the call fails as it would have without hedges.
      this.claim(0)
      this.finish(this.primaryExit ?? exit)
    }
  }

  private finish(exit: Exit.Exit<A, E>): void {
    this.hasResult = true
    this.resume?.(exit)
  }

  /** Runs uninterruptibly before the caller goes on. What it returns is waited for. */
  close(exit: Exit.Exit<A, E>): Effect.Effect<void> | undefined {
    this.rules.ended(this.hasResult ? this.winner : undefined, this.launched - 1, this.refused)
    if (this.primaryExit === undefined) {
      this.rules.primaryEnded(false)
      this.primaryExit = exit
    }
    return this.stop()
  }

  private stop(): Effect.Effect<void> | undefined {
    const stopping = this.interruptAll()
    if (stopping.length === 0) return this.winnersScope?.handOver()
    // Again, because the timer may have been about to add an attempt.
    return Effect.flatMap(Fiber.awaitAll(stopping), () => this.stop() ?? Effect.void)
  }

  /** Interrupts what still runs, and says what has not ended at once. */
  private interruptAll(): ReadonlyArray<Fiber.Fiber<unknown, unknown>> {
    const stopping: Array<Fiber.Fiber<unknown, unknown>> = []
    for (const fiber of this.fibers) {
      if (fiber.pollUnsafe() !== undefined) continue
      fiber.interruptUnsafe(this.parent.id)
      if (fiber.pollUnsafe() === undefined) stopping.push(fiber)
    }
    return stopping
  }
}

/** A failure leaves the others a chance. A defect is a bug and no slowness; an interruption is somebody's wish. */
const isFailure = (cause: Cause.Cause<unknown>): boolean => !Cause.hasDies(cause) && !Cause.hasInterrupts(cause)
