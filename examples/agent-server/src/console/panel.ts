/** What the panels of the operations view have in common. */
import { announce } from "./dom.ts"
import * as Http from "./http.ts"
import { adminKey } from "./storage.ts"
import { line, type Trouble } from "./trouble.ts"

/** A part of the view. It reads what it shows, again and again while the view is open, and answers with what went wrong. */
export interface Panel {
  readonly refresh: (signal: AbortSignal) => Promise<Trouble | undefined>
  /** Forgets what only the operator may see. */
  readonly clear?: () => void
}

/** Reads something for the operator and shows it. */
export const reading =
  <A>(path: () => string, show: (value: A) => void) => async (signal: AbortSignal): Promise<Trouble | undefined> => {
    const outcome = await Http.json<A>(path(), { key: adminKey, signal })
    if (outcome._tag === "Failed") return outcome.trouble
    // What arrives after the view was left is nobody's any more.
    if (!signal.aborted) show(outcome.value)
    return undefined
  }

/** Does something as the operator, says what came of it, and has the view read again. */
export const acting = async (
  path: string,
  request: Omit<Http.Request, "key">,
  done: string
): Promise<boolean> => {
  const outcome = await Http.json(path, { method: "POST", ...request, key: adminKey })
  announce(outcome._tag === "Answered" ? done : line(outcome.trouble))
  if (outcome._tag === "Failed") complain(outcome.trouble)
  readAgain()
  return outcome._tag === "Answered"
}

let complain: (trouble: Trouble) => void = () => undefined
let readAgain: () => void = () => undefined

/** Where an action's trouble is shown, and how the view is read again. */
export const actionsGoTo = (options: {
  readonly complain: (trouble: Trouble) => void
  readonly readAgain: () => void
}): void => {
  complain = options.complain
  readAgain = options.readAgain
}
