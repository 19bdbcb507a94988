/** Where a person enters the API key that chats are sent with. */
import { announce, find } from "./dom.ts"
import { apiKey } from "./storage.ts"

const dialog = find("key-dialog", HTMLDialogElement)
const input = find("api-key", HTMLInputElement)

/** Asks for the key. It is kept until the tab is closed. */
export const open = (): void => {
  input.value = apiKey.get() ?? ""
  dialog.showModal()
}

/** Makes the dialog work. */
export const start = (): void => {
  find("open-key", HTMLButtonElement).addEventListener("click", open)
  find("key-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close())
  find("key-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault()
    const value = input.value.trim()
    apiKey.set(value === "" ? undefined : value)
    dialog.close()
    announce(value === "" ? "Chats are sent without a key." : "Chats are sent with this key.")
  })
}
