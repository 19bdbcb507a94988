/** The scope of one attempt: closed with a loser, handed to the caller's scope by the winner. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

type State = Scope.Scope["state"]

const empty: State = { _tag: "Empty" }

export class AttemptScope implements Scope.Closeable {
  readonly "~effect/Scope" = "~effect/Scope"
  readonly "~effect/Scope/Closeable" = "~effect/Scope/Closeable"
  readonly strategy: Scope.Scope["strategy"]
  readonly parent = undefined
  private readonly outer: Scope.Scope
  private isOuter = false
  private own: State = empty

  constructor(outer: Scope.Scope) {
    this.outer = outer
    this.strategy = outer.strategy
  }

  get state(): State {
    return this.isOuter ? this.outer.state : this.own
  }

  set state(state: State) {
    if (this.isOuter) this.outer.state = state
    else this.own = state
  }

  /** Closes it; `undefined` when there is nothing to close. */
  closeUnsafe(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    return Scope.closeUnsafe(this, exit)
  }

  /**
   * What it holds, the caller's scope holds from now on; `undefined` when there is nothing to do.
   *
   * The result may have kept this scope to acquire more later (a pull of a stream does), so an empty one becomes the
   * caller's scope under another name. It could also become a child of it, but then a scope that lives as long as
   * the program would grow with every call.
   */
  handOver(): Effect.Effect<void> | undefined {
    if (this.own._tag !== "Empty") {
      return Scope.addFinalizerExit(this.outer, (exit) => Scope.close(this, exit))
    }
    this.isOuter = true
    return undefined
  }
}
