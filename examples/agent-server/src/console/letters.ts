/** The browser of dead letters: a page of them, and what can be done about each. */
import { badge, button, find, h, keyed, type Mood, type Row, setText, tableRow } from "./dom.ts"
import * as LetterView from "./letterView.ts"
import { acting, type Panel, readAgain, reading } from "./panel.ts"
import * as Redrive from "./redrive.ts"
import type { Letter, Letters, LettersReport } from "./wire.ts"
import { count, dayAndTime, spaced } from "./words.ts"

const pageSize = 20

const moods: Readonly<Record<Letter["state"], Mood>> = {
  Dead: "bad",
  Quarantined: "bad",
  Redriving: "unsure",
  Discarded: "unsure",
  Archived: "good"
}

const state = find("letters-state", HTMLSelectElement)
const older = find("letters-older", HTMLButtonElement)
const newer = find("letters-newer", HTMLButtonElement)
const dialog = find("discard-dialog", HTMLDialogElement)
const reason = find("discard-reason", HTMLInputElement)

/** Where the page that is shown begins; `undefined` is at the newest. */
let cursor: string | undefined
let following: string | undefined

let discarding: string | undefined

const makeRow = ({ id }: Letter): Row<Letter> => {
  const mood = badge()
  const [failure, failedAt] = [h("span"), h("span")]
  const redrive = button("Redrive", () => Redrive.ids([id]), `Redrive letter ${id}`)
  const discard = button("Discard", () => {
    discarding = id
    reason.value = ""
    dialog.showModal()
  }, `Discard letter ${id}`)
  const inspect = button("Inspect", () => LetterView.open(id), `Inspect letter ${id}`)
  return {
    element: tableRow(h("code", {}, id), mood.element, failure, failedAt, h("span", {}, inspect, redrive, discard)),
    update: (letter) => {
      mood.update(moods[letter.state], spaced(letter.state))
      setText(failure, `${spaced(letter.failure.kind)}: ${letter.failure.message}`)
      setText(failedAt, dayAndTime(letter.failed_at))
      const isOver = letter.state === "Archived" || letter.state === "Discarded"
      redrive.hidden = isOver
      discard.hidden = isOver
    }
  }
}

const showRows = keyed(find("letters", HTMLElement), ({ id }) => id, makeRow)

const query = () =>
  new URLSearchParams({
    limit: String(pageSize),
    order: "newest",
    ...(state.value === "" ? {} : { state: state.value }),
    ...(cursor === undefined ? {} : { cursor })
  })

const show = ({ cursor: next, letters }: Letters) => {
  showRows(letters)
  following = next ?? undefined
  older.disabled = following === undefined
  newer.disabled = cursor === undefined
  find("no-letters", HTMLElement).hidden = letters.length > 0
}

const readPage = reading<Letters>(() => `/admin/dlq?${query()}`, show)

const readReport = reading<LettersReport>(() => "/admin/dlq/report", ({ states, total }) =>
  setText(
    find("letters-report", HTMLElement),
    `${count(total)} letters. ` +
      Object.entries(states).map(([name, letters]) => `${spaced(name)}: ${count(letters)}`).join(", ")
  ))

const turnTo = (page: string | undefined) => {
  cursor = page
  readAgain()
}

export const panel: Panel = {
  refresh: async (signal) => {
    const [page, report] = await Promise.all([readPage(signal), readReport(signal)])
    return page ?? report
  },
  clear: () => {
    showRows([])
    LetterView.close()
  }
}

/** Makes the buttons work. */
export const start = (): void => {
  LetterView.start()
  Redrive.start()
  state.addEventListener("change", () => turnTo(undefined))
  newer.addEventListener("click", () => turnTo(undefined))
  older.addEventListener("click", () => turnTo(following))
  find("redrive-all", HTMLButtonElement).addEventListener("click", () => Redrive.allDead())
  find("discard-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close())
  find("discard-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault()
    dialog.close()
    if (discarding === undefined) return
    const path = `/admin/dlq/${encodeURIComponent(discarding)}/discard`
    void acting(path, { body: { reason: reason.value } }, `Letter ${discarding} is discarded.`)
  })
}
