/** Why the server does not start, in words for whoever started it. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"

/** One line for each thing that is wrong. */
export class CannotStart extends Data.TaggedError("CannotStart")<{ readonly lines: ReadonlyArray<string> }> {
  override get message(): string {
    return this.lines.join("\n")
  }
}

/** One thing is wrong. */
export const because = (line: string): CannotStart => new CannotStart({ lines: [line] })

/** Says in a line why a layer cannot be built. */
export const orCannotStart: {
  <E>(line: (error: E) => string): <A, R>(self: Layer.Layer<A, E, R>) => Layer.Layer<A, CannotStart, R>
  <A, E, R>(self: Layer.Layer<A, E, R>, line: (error: E) => string): Layer.Layer<A, CannotStart, R>
} = dual(
  2,
  <A, E, R>(self: Layer.Layer<A, E, R>, line: (error: E) => string): Layer.Layer<A, CannotStart, R> =>
    Layer.catch(self, (error) => Layer.effectContext(Effect.fail(because(line(error)))))
)
