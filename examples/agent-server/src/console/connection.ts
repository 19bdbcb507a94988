/** Whether the server can be reached, told at the top of the page as long as it cannot. */
import { announce, find, setText } from "./dom.ts"

/** How long until the server is looked for again. */
const pause = 2_000

const notice = find("connection", HTMLElement)
let waiting: number | undefined

const say = () =>
  setText(
    notice,
    navigator.onLine
      ? "The server does not answer. This page goes on trying; what you wrote is kept."
      : "You are offline. This page goes on when you are back; what you wrote is kept."
  )

const look = async () => {
  waiting = undefined
  try {
    const response = await fetch("/health/live", { cache: "no-store", signal: AbortSignal.timeout(pause * 5) })
    await response.body?.cancel()
    found()
  } catch {
    lost()
  }
}

/** A request got no answer. */
export const lost = (): void => {
  say()
  notice.hidden = false
  waiting ??= window.setTimeout(() => void look(), pause)
}

/** A request got an answer, whatever it says. */
export const found = (): void => {
  window.clearTimeout(waiting)
  waiting = undefined
  if (notice.hidden) return
  notice.hidden = true
  announce("The server answers again.")
}

window.addEventListener("offline", lost)
window.addEventListener("online", () => void look())
