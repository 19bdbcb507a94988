/** Why the server does not start, in words for whoever started it. */
import * as Data from "effect/Data"

/** One line for each thing that is wrong. */
export class CannotStart extends Data.TaggedError("CannotStart")<{ readonly lines: ReadonlyArray<string> }> {
  override get message(): string {
    return this.lines.join("\n")
  }
}

/** One thing is wrong. */
export const because = (line: string): CannotStart => new CannotStart({ lines: [line] })
