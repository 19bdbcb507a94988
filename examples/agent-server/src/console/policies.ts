/** The policies as the server has them now, where it tells them. */
import { find, setText } from "./dom.ts"
import { type Panel, reading } from "./panel.ts"

const text = find("policies", HTMLElement)

export const panel: Panel = {
  refresh: reading<unknown>(() => "/admin/policies", (policies) => {
    setText(text, JSON.stringify(policies, undefined, 2))
    find("policies-panel", HTMLElement).hidden = false
  }),
  clear: () => setText(text, "")
}
