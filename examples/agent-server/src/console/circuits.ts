/** The circuits: how each stands, how it came to that, and the operator's word against it. */
import { announce, badge, button, find, h, keyed, type Mood, type Row, setText, tableRow } from "./dom.ts"
import { acting, type Panel, reading } from "./panel.ts"
import type { Circuit, Circuits } from "./wire.ts"
import { count, millis, spaced, time } from "./words.ts"

const moods: Readonly<Record<Circuit["state"], Mood>> = {
  Closed: "good",
  ForcedClosed: "unsure",
  HalfOpen: "unsure",
  Recovering: "unsure",
  Open: "bad",
  ForcedOpen: "bad"
}

const commands = [["open", "Open"], ["close", "Close"], ["release", "Release"], ["reset", "Reset"]] as const

const keyOf = ({ key, name }: Circuit) => `${name} ${key}`

const shownName = ({ key, name }: Circuit) => key === "default" ? name : `${name} (${key})`

const makeRow = (circuit: Circuit): Row<Circuit> => {
  const state = badge()
  const [next, bad, openings, inFlight] = [h("span"), h("span"), h("span"), h("span")]
  const name = shownName(circuit)
  const path = `/admin/circuit-breakers/${encodeURIComponent(circuit.name)}`
  const buttons = commands.map(([command, text]) =>
    button(
      text,
      () => acting(`${path}/${command}?key=${encodeURIComponent(circuit.key)}`, {}, `${text}: ${name}.`),
      `${text} the circuit ${name}`
    )
  )
  return {
    element: tableRow(name, state.element, next, bad, openings, inFlight, h("span", {}, ...buttons)),
    update: (now) => {
      state.update(moods[now.state], spaced(now.state))
      const wait = now.retry_after_ms
      setText(next, wait === null ? "when released" : wait === 0 ? "now" : `in ${millis(wait)}`)
      setText(bad, now.rules.map(({ bad, calls }) => `${bad} of ${calls}`).join(", ") || "–")
      setText(openings, count(now.openings))
      setText(inFlight, count(now.in_flight))
    }
  }
}

const show = keyed(find("circuits", HTMLElement), keyOf, makeRow)

/** How many transitions are kept on the page. */
const most = 20

const transitions = find("transitions", HTMLElement)
const seen = new Map<string, Circuit["state"]>()

const noteTransitions = (circuits: ReadonlyArray<Circuit>) => {
  for (const circuit of circuits) {
    const before = seen.get(keyOf(circuit))
    seen.set(keyOf(circuit), circuit.state)
    if (before === undefined || before === circuit.state) continue
    const words = `${shownName(circuit)}: ${spaced(before)} → ${spaced(circuit.state)}`
    const now = new Date().toISOString()
    transitions.prepend(h("li", {}, h("time", { datetime: now }, time(now)), words))
    while (transitions.childElementCount > most) transitions.lastElementChild?.remove()
    announce(`Circuit ${words}`)
  }
  find("no-transitions", HTMLElement).hidden = transitions.childElementCount > 0
}

export const panel: Panel = {
  refresh: reading<Circuits>(() => "/admin/circuit-breakers", ({ circuit_breakers }) => {
    show(circuit_breakers)
    noteTransitions(circuit_breakers)
  }),
  clear: () => {
    show([])
    seen.clear()
    transitions.replaceChildren()
  }
}
