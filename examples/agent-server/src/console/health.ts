/** The health board: the services, and checking one anew. */
import { badge, button, find, h, keyed, type Mood, type Row, setText, tableRow } from "./dom.ts"
import { acting, type Panel, reading } from "./panel.ts"
import type { Service, Services } from "./wire.ts"
import { count, millis, spaced, time } from "./words.ts"

const moods: Readonly<Record<Service["state"], Mood>> = {
  Healthy: "good",
  Unknown: "unsure",
  Degraded: "unsure",
  Failed: "bad"
}

const makeRow = ({ name }: Service): Row<Service> => {
  const state = badge()
  const [failures, checked, took, error] = [h("span"), h("span"), h("span"), h("span")]
  const reset = button(
    "Reset",
    () => acting(`/api/v1/monitoring/health/reset/${encodeURIComponent(name)}`, {}, `${name} was checked anew.`),
    `Reset the health of ${name}`
  )
  return {
    element: tableRow(name, state.element, failures, checked, took, error, reset),
    update: (now) => {
      state.update(moods[now.state], spaced(now.state))
      setText(failures, count(now.failure_count))
      setText(checked, time(now.last_check))
      setText(took, millis(now.latency_ms))
      setText(error, now.last_error ?? "–")
    }
  }
}

const show = keyed(find("services", HTMLElement), ({ name }) => name, makeRow)

export const panel: Panel = {
  refresh: reading<Services>(() => "/api/v1/monitoring/health/services", ({ services }) => show(services)),
  clear: () => show([])
}
