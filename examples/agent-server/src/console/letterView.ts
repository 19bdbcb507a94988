/** One dead letter, opened. */
import { find, h, setText } from "./dom.ts"
import * as Http from "./http.ts"
import { sayOutcome } from "./panel.ts"
import { adminKey } from "./storage.ts"
import type { OpenedLetter } from "./wire.ts"
import { count, dayAndTime, spaced } from "./words.ts"

const view = find("letter", HTMLElement)
const title = find("letter-title", HTMLElement)

const facts = (letter: OpenedLetter): ReadonlyArray<readonly [name: string, value: string]> => [
  ["State", spaced(letter.state)],
  ...(letter.reason === null ? [] : [["Because", letter.reason.message] as const]),
  ["Failure", `${spaced(letter.failure.kind)}: ${letter.failure.message}`],
  ["Failed at", dayAndTime(letter.failed_at)],
  ["Offered", `${count(letter.occurrences)} times`],
  ["Redrives", `${count(letter.attempts.delivered)} failed, ${count(letter.attempts.interrupted)} interrupted`],
  ...letter.history.map(({ at, event, note }): readonly [string, string] => [
    dayAndTime(at),
    note === null ? spaced(event) : `${spaced(event)}: ${note}`
  ])
]

/** Shows the letter of this id, and goes there. */
export const open = async (id: string): Promise<void> => {
  const outcome = await Http.json<OpenedLetter>(`/admin/dlq/${encodeURIComponent(id)}`, { key: adminKey })
  if (outcome._tag === "Failed") {
    sayOutcome(outcome, "")
    return
  }
  setText(title, `Letter ${id}`)
  find("letter-facts", HTMLElement).replaceChildren(
    ...facts(outcome.value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])
  )
  setText(find("letter-json", HTMLElement), JSON.stringify(outcome.value, undefined, 2))
  view.hidden = false
  title.focus()
}

/** Shows none. */
export const close = (): void => {
  view.hidden = true
  setText(find("letter-json", HTMLElement), "")
  find("letter-facts", HTMLElement).replaceChildren()
}

/** Makes the button work. */
export const start = (): void => {
  find("letter-close", HTMLButtonElement).addEventListener("click", () => {
    close()
    find("letters-title", HTMLElement).focus()
  })
}
