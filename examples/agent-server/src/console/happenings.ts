/** What happens in the server, as it happens: the policies' own signals, the latest first. */
import { find, h, setText } from "./dom.ts"
import * as Http from "./http.ts"
import type { Panel } from "./panel.ts"
import { adminKey } from "./storage.ts"
import type { Happening } from "./wire.ts"
import { spaced, time } from "./words.ts"

/** How many are kept on the page. */
const most = 200

const list = find("events", HTMLElement)
const pause = find("events-pause", HTMLButtonElement)

let running: AbortController | undefined
let isPaused = false

const add = (at: string, text: string) => {
  list.prepend(h("li", {}, h("time", { datetime: at }, time(at)), text))
  while (list.childElementCount > most) list.lastElementChild?.remove()
}

const follow = (event: string, data: unknown): undefined => {
  // The server's own declarations describe its events.
  const happening = data as Happening
  const fields = Object.entries(happening.fields).map(([name, value]) => `${name} ${value}`)
  if (event === "signal") add(happening.at, `${spaced(happening.signal)}: ${fields.join(", ")}`)
  return undefined
}

/** Until the stream ends, which the next round mends. */
const listen = async (controller: AbortController) => {
  await Http.events("/admin/signals", { key: adminKey, signal: controller.signal }, follow)
  if (running === controller) running = undefined
}

/** Hears nothing any more. */
export const leave = (): void => {
  running?.abort()
  running = undefined
}

export const panel: Panel = {
  refresh: async () => {
    find("events-panel", HTMLElement).hidden = false
    if (running !== undefined || isPaused) return undefined
    running = new AbortController()
    void listen(running)
    return undefined
  },
  clear: () => {
    leave()
    list.replaceChildren()
  }
}

/** Makes the button work. Nobody is listened for who does not look. */
export const start = (): void => {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave()
  })
  pause.addEventListener("click", () => {
    isPaused = !isPaused
    setText(pause, isPaused ? "Go on" : "Pause")
    if (isPaused) leave()
  })
}
