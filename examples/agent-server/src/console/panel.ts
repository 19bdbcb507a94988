/** What the panels of the operations view have in common. */
import { announce, find, setText } from "./dom.ts"
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
): Promise<void> => {
  const outcome = await Http.json(path, { method: "POST", ...request, key: adminKey })
  sayOutcome(outcome, done)
  readAgain()
}

/** Says what came of an action. Trouble is shown until the next one: what is read every two seconds does not wipe it away. */
export const sayOutcome = (outcome: Http.Outcome<unknown>, done: string): void => {
  const notice = find("action-notice", HTMLElement)
  notice.hidden = outcome._tag === "Answered"
  const words = outcome._tag === "Answered" ? done : line(outcome.trouble)
  setText(notice, words)
  announce(words)
}

let readNow: () => void = () => undefined

/** Has the view read now, and forgets what is being read: it would be of before. */
export const readAgain = (): void => readNow()

/** How the view is read. */
export const onReadAgain = (read: () => void): void => {
  readNow = read
}
