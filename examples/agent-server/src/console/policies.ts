/** The policies in force: what they do, what is probably not meant, and another document in their place. */
import { find, h, keyed, type Row, setText } from "./dom.ts"
import * as Http from "./http.ts"
import { type Panel, readAgain, reading, sayOutcome } from "./panel.ts"
import { adminKey } from "./storage.ts"
import type { Policies, ReplacedPolicies } from "./wire.ts"
import { dayAndTime } from "./words.ts"

const editor = find("policies-document", HTMLTextAreaElement)
const put = find("policies-put", HTMLButtonElement)
const undo = find("policies-undo", HTMLButtonElement)
const refused = find("policies-refused", HTMLElement)

/** What the document was when somebody began to change it, or is now. `undefined`: nothing is read yet. */
let base: { readonly text: string; readonly version: number } | undefined

/** What is in force. */
let current: typeof base

interface Remark {
  readonly where: string
  readonly message: string
}

const makeRow = (): Row<Remark> => {
  const [where, message] = [h("code"), h("span")]
  return {
    element: h("li", {}, where, " ", message),
    update: (remark) => {
      setText(where, remark.where)
      setText(message, remark.message)
    }
  }
}

const remarks = (parent: HTMLElement) => keyed<Remark>(parent, ({ message, where }) => `${where} ${message}`, makeRow)

const showLint = remarks(find("policies-lint", HTMLElement))
const showRefused = remarks(refused.querySelector("ul") ?? refused)
const showWrong = remarks(find("policies-wrong", HTMLElement))

const toRemarks = (errors: ReadonlyArray<{ readonly path: string; readonly message: string }>) =>
  errors.map(({ message, path }) => ({ where: path === "" ? "the document" : path, message }))

const isChanged = () => base !== undefined && editor.value !== base.text

const showChanges = () => {
  const changed = isChanged()
  put.disabled = !changed
  undo.disabled = !changed
  setText(
    find("policies-hint", HTMLElement),
    !changed
      ? "Change it here. It is checked as a whole, and in force for the calls that begin."
      : base?.version === current?.version
      ? "Changed, and not in force."
      : "Changed, and not in force. Meanwhile another document is: to put this one in force takes its place."
  )
}

/** The text in force, in the place of what is there. */
const reset = () => {
  const text = current?.text ?? ""
  if (editor.value !== text) editor.value = text
  // The browser has its own ends of lines.
  base = current && { ...current, text: editor.value }
  showWrong([])
  showChanges()
}

const show = ({ document: text, errors = [], explain, lint, loaded_at, source, version }: Policies) => {
  setText(find("policies-facts", HTMLElement), `Version ${version}, of ${source}, since ${dayAndTime(loaded_at)}.`)
  setText(find("policies-explain", HTMLElement), explain)
  showLint(lint.map(({ at, message }) => ({ where: at, message })))
  find("policies-no-lint", HTMLElement).hidden = lint.length > 0
  refused.hidden = errors.length === 0
  showRefused(toRemarks(errors))
  current = { text, version }
  // Nobody's changes are taken away.
  if (isChanged()) showChanges()
  else reset()
  find("policies-panel", HTMLElement).hidden = false
}

const replace = async () => {
  put.disabled = true
  const text = { type: "application/yaml", value: editor.value }
  const outcome = await Http.json<ReplacedPolicies>("/admin/policies", { method: "PUT", key: adminKey, text })
  if (outcome._tag === "Answered") {
    const { document, persisted, version } = outcome.value
    current = { text: document, version }
    reset()
    sayOutcome(
      outcome,
      persisted ? `Version ${version} is in force.` : `Version ${version} is in force until the server restarts.`
    )
  } else {
    const { trouble } = outcome
    showWrong(trouble._tag === "Problem" ? toRemarks(trouble.errors) : [])
    sayOutcome(outcome, "")
    showChanges()
    editor.focus()
  }
  readAgain()
}

export const panel: Panel = {
  refresh: reading<Policies>(() => "/admin/policies", show),
  clear: () => {
    current = undefined
    reset()
    for (const id of ["policies-facts", "policies-explain"]) setText(find(id, HTMLElement), "")
    showLint([])
    refused.hidden = true
    showRefused([])
  }
}

/** Makes the form work. */
export const start = (): void => {
  editor.addEventListener("input", showChanges)
  undo.addEventListener("click", () => {
    reset()
    editor.focus()
  })
  find("policies-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault()
    void replace()
  })
}
