/** The console: two views of one page, of which the address says which is shown. */
import * as Chat from "./chat.ts"
import { find } from "./dom.ts"
import * as KeyDialog from "./keyDialog.ts"
import * as Operations from "./operations.ts"

const views = { chat: find("chat", HTMLElement), operations: find("operations", HTMLElement) }
const links = { chat: find("to-chat", HTMLElement), operations: find("to-operations", HTMLElement) }

const show = () => {
  const name = location.hash === "#operations" ? "operations" : "chat"
  for (const each of ["chat", "operations"] as const) {
    views[each].hidden = each !== name
    if (each === name) links[each].setAttribute("aria-current", "page")
    else links[each].removeAttribute("aria-current")
  }
  document.title = name === "chat" ? "Chat – agent-server" : "Operations – agent-server"
  if (name === "operations") Operations.enter()
  else Operations.leave()
}

KeyDialog.start()
Chat.start()
Operations.start()
window.addEventListener("hashchange", show)
show()
