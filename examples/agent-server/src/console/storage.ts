/** What the browser keeps for this page. A browser that keeps nothing is no reason to fail: then it is for this visit only. */

/** A value that is kept under a name. */
export interface Slot {
  readonly get: () => string | undefined
  readonly set: (value: string | undefined) => void
}

const slot = (name: string, storage: () => Storage): Slot => {
  let here: string | undefined
  return {
    get: () => {
      try {
        return storage().getItem(name) ?? here
      } catch {
        return here
      }
    },
    set: (value) => {
      here = value
      try {
        if (value === undefined) storage().removeItem(name)
        else storage().setItem(name, value)
      } catch {
        // Full, or forbidden.
      }
    }
  }
}

/** The key that chats are sent with, until the tab is closed. */
export const apiKey: Slot = slot("agent-server.api-key", () => sessionStorage)

/** The operator's key, until the tab is closed. */
export const adminKey: Slot = slot("agent-server.admin-key", () => sessionStorage)

/** The sessions of this browser, as JSON. */
export const knownSessions: Slot = slot("agent-server.sessions", () => localStorage)

/** The session that was open last. */
export const openSession: Slot = slot("agent-server.open-session", () => localStorage)
