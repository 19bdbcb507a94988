/** Where a command's words go: results to standard output, progress to standard error, as a bar only for a person. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** How far something is. */
export interface Far {
  readonly done: number
  readonly total: number
  /** What else there is to say of it. */
  readonly note: string
}

/** The two streams. */
export class Output extends Context.Service<Output, {
  /** A line of the result. */
  readonly line: (text: string) => Effect.Effect<void>
  /** Text of the result as it is. */
  readonly text: (text: string) => Effect.Effect<void>
  /** A line that is not part of the result. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Draws a bar where a person looks on, and a line now and then where nobody does. */
  readonly progress: (title: string, far: Far) => Effect.Effect<void>
  /** Nothing more comes of this progress. */
  readonly progressDone: Effect.Effect<void>
}>()("agent-server/cli/Output") {}

/** A stream that texts are written to: the process's, or a test's. */
interface Sink {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly write: (text: string, done: () => void) => unknown
}

const writeTo = (sink: Sink, text: string): Effect.Effect<void> =>
  Effect.callback((resume) => void sink.write(text, () => resume(Effect.void)))

/** A bar of so many cells at most, that fits into a line with what stands beside it. */
const bar = ({ done, note, total }: Far, title: string, columns: number): string => {
  const numbers = `${done}/${total}  ${note}`
  const room = Math.min(30, columns - title.length - numbers.length - 6)
  if (room < 4) return `${title} ${numbers}`.slice(0, Math.max(0, columns - 1))
  const full = total === 0 ? room : Math.min(room, Math.floor(room * done / total))
  return `${title} [${"#".repeat(full)}${".".repeat(room - full)}] ${numbers}`
}

/** One line in ten steps of the way, however many letters there are. */
const isStep = ({ done, total }: Far): boolean =>
  done === total || Math.floor(10 * done / total) !== Math.floor(10 * (done - 1) / total)

const clear = "\r\u001b[2K"

/** Writes to these. */
export const layer = (out: Sink, err: Sink): Layer.Layer<Output> =>
  Layer.sync(Output, () => {
    let drawn = false
    const cleared = () => {
      const text = drawn ? clear : ""
      drawn = false
      return text
    }
    return {
      line: (text) => writeTo(out, `${text}\n`),
      text: (text) => writeTo(out, text),
      say: (text) => Effect.suspend(() => writeTo(err, `${cleared()}${text}\n`)),
      progress: (title, far) =>
        Effect.suspend(() => {
          if (err.isTTY !== true) {
            return isStep(far)
              ? writeTo(err, `${title} ${far.done}/${far.total}  ${far.note}\n`)
              : Effect.void
          }
          drawn = true
          return writeTo(err, `${clear}${bar(far, title, err.columns ?? 80)}`)
        }),
      progressDone: Effect.suspend(() => {
        if (!drawn) return Effect.void
        drawn = false
        return writeTo(err, "\n")
      })
    }
  })
