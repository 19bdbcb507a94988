/** A conversation with V8's inspector, in this process and for the length of a scope. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Session } from "node:inspector"

/** The inspector refused. */
export class InspectorFailed extends Data.TaggedError("InspectorFailed")<{ readonly message: string }> {}

/** Ends with everything that was switched on in it. */
export const connect: Effect.Effect<Session, InspectorFailed, Scope.Scope> = Effect.acquireRelease(
  Effect.try({
    try: () => {
      const session = new Session()
      session.connect()
      return session
    },
    catch: (error) => new InspectorFailed({ message: String(error) })
  }),
  (session) => Effect.sync(() => session.disconnect())
)

type Method =
  | "Profiler.enable"
  | "Profiler.start"
  | "Profiler.stop"
  | "Profiler.disable"
  | "HeapProfiler.takeHeapSnapshot"

/** Asks for something, and waits for the answer. */
export const post = (session: Session, method: Method): Effect.Effect<unknown, InspectorFailed> =>
  Effect.callback((resume) => {
    session.post(method, (error: Error | null, answer?: unknown) => {
      resume(error === null ? Effect.succeed(answer) : Effect.fail(new InspectorFailed({ message: error.message })))
    })
  })
