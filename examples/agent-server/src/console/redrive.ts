/** Hands dead letters over again, and shows how far it is. */
import { find, setText } from "./dom.ts"
import * as Http from "./http.ts"
import { adminKey } from "./storage.ts"
import { line, problem, type Trouble } from "./trouble.ts"
import type { Redriven } from "./wire.ts"

const bar = find("redrive-progress", HTMLProgressElement)
const wordsOf = find("redrive-words", HTMLElement)
const stop = find("redrive-stop", HTMLButtonElement)
const all = find("redrive-all", HTMLButtonElement)

let running: AbortController | undefined

type Far = Pick<Redriven, "counts" | "done" | "total">

const say = ({ counts, done, total }: Far) => {
  const rest = Object.entries(counts).filter(([, letters]) => letters > 0).map(([outcome, letters]) =>
    `${letters} ${outcome}`
  )
  bar.max = Math.max(1, total)
  bar.value = done
  setText(wordsOf, `${done} of ${total}${rest.length === 0 ? "" : `: ${rest.join(", ")}`}`)
}

const follow = (event: string, data: unknown): { readonly trouble?: Trouble } | undefined => {
  switch (event) {
    case "progress":
      // The server's own declarations describe its events.
      say(data as Far)
      return undefined
    case "done":
      say(data as Far)
      return {}
    case "error":
      return { trouble: problem(data, 503) }
    default:
      return undefined
  }
}

const run = async (which: object) => {
  if (running !== undefined) {
    setText(wordsOf, "A redrive is running already.")
    return
  }
  const controller = new AbortController()
  running = controller
  all.disabled = true
  stop.hidden = false
  bar.value = 0
  find("redrive", HTMLElement).hidden = false
  setText(wordsOf, "Begins…")
  const outcome = await Http.events("/admin/dlq/redrive", {
    method: "POST",
    key: adminKey,
    body: { ...which, stream: true },
    signal: controller.signal
  }, follow)
  running = undefined
  all.disabled = false
  stop.hidden = true
  const trouble = outcome._tag === "Failed" ? outcome.trouble : outcome.value.trouble
  if (trouble?._tag === "Stopped") setText(wordsOf, `Stopped. ${wordsOf.textContent ?? ""}`)
  else if (trouble !== undefined) setText(wordsOf, line(trouble))
}

/** These letters. */
export const ids = (list: ReadonlyArray<string>): Promise<void> => run({ ids: list })

/** All that are dead now. */
export const allDead = (): Promise<void> => run({ filter: { state: ["Dead"] } })

/** Makes the button work. A redrive ends with the page: letters that it did not come to stay as they are. */
export const start = (): void => {
  stop.addEventListener("click", () => {
    running?.abort()
    all.focus()
  })
}
