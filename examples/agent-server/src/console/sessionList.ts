/** The list of sessions beside the conversation. */
import { button, find, h, keyed } from "./dom.ts"
import * as Sessions from "./sessions.ts"
import { openSession } from "./storage.ts"

/** What the buttons do. */
interface Actions {
  readonly open: (known: Sessions.Known) => void
  readonly remove: (known: Sessions.Known) => void
}

let render: () => void = () => undefined

/** Makes the list work. */
export const start = ({ open, remove }: Actions): void => {
  const update = keyed<Sessions.Known>(find("sessions", HTMLElement), ({ id }) => id, (known) => {
    const name = button(known.title, () => open(known))
    name.className = "session"
    const element = h("li", {}, name, button("Delete", () => remove(known), `Delete session “${known.title}”`))
    return {
      element,
      update: ({ id }) => {
        if (openSession.get() === id) name.setAttribute("aria-current", "true")
        else name.removeAttribute("aria-current")
      }
    }
  })
  render = () => update(Sessions.all())
  render()
}

/** This session is the one that is shown, and something was said in it. */
export const opened = (known: Sessions.Known): void => {
  openSession.set(known.id)
  Sessions.remember(known)
  render()
}

/** None is shown. */
export const closed = (): void => {
  openSession.set(undefined)
  render()
}

/** This session is no more. */
export const forget = (id: string): void => {
  if (openSession.get() === id) openSession.set(undefined)
  Sessions.forget(id)
  render()
}
