/** Breaks and mends the simulated providers, while they are simulated. */
import { button, find, h, keyed, type Row, setText } from "./dom.ts"
import * as Http from "./http.ts"
import { type Panel, reading, sayOutcome } from "./panel.ts"
import { adminKey } from "./storage.ts"
import type { AllFaults, Faults } from "./wire.ts"
import { millis } from "./words.ts"

interface Provider {
  readonly name: string
  readonly faults: Faults
}

const percent = (value: number) => `${Math.round(value * 100)} %`

const share = (value: boolean | number): number => typeof value === "number" ? value : value ? 1 : 0

const sliders = [
  { field: "error_rate", text: "Failing calls", max: 1, step: 0.05, words: percent },
  { field: "rate_limit_rate", text: "Rate limited", max: 1, step: 0.05, words: percent },
  { field: "hang", text: "Never answered", max: 1, step: 0.05, words: percent },
  { field: "latency_ms", text: "Latency", max: 5000, step: 20, words: millis }
] as const

const well: Partial<Faults> = {
  error_rate: 0,
  rate_limit_rate: 0,
  hang: false,
  latency_ms: 20,
  jitter_ms: 20,
  garbage: false,
  truncate_stream_at: null,
  down: false
}

const change = async (name: string, patch: Partial<Faults>, said: string) => {
  const outcome = await Http.json<AllFaults>("/sim/faults", { method: "PUT", key: adminKey, body: { [name]: patch } })
  sayOutcome(outcome, said)
  if (outcome._tag === "Answered") show(outcome.value)
}

const makeSlider = (name: string, { field, max, step, text, words }: (typeof sliders)[number]) => {
  const id = `${name}-${field}`
  const output = h("output", { for: id })
  const input = h("input", { type: "range", id, min: "0", max: String(max), step: String(step) })
  const say = () => {
    setText(output, words(Number(input.value)))
    input.setAttribute("aria-valuetext", output.textContent ?? "")
  }
  input.addEventListener("input", say)
  input.addEventListener(
    "change",
    () => void change(name, { [field]: Number(input.value) }, `${name}: ${text.toLowerCase()} ${output.textContent}.`)
  )
  return {
    element: h("div", {}, h("label", { for: id }, text, output), input),
    update: (faults: Faults) => {
      // Not under the hand that holds it.
      if (document.activeElement === input) return
      input.value = String(share(faults[field]))
      say()
    }
  }
}

const makeRow = ({ name }: Provider): Row<Provider> => {
  const all = sliders.map((slider) => makeSlider(name, slider))
  const down = h("input", { type: "checkbox", id: `${name}-down` })
  down.addEventListener(
    "change",
    () => void change(name, { down: down.checked }, `${name} is ${down.checked ? "down" : "up"}.`)
  )
  return {
    element: h(
      "fieldset",
      {},
      h("legend", {}, name),
      ...all.map(({ element }) => element),
      h("label", { for: `${name}-down` }, "Down", down),
      button("Mend", () => change(name, well, `${name} is mended.`), `Mend ${name}`)
    ),
    update: ({ faults }) => {
      for (const { update } of all) update(faults)
      down.checked = faults.down
    }
  }
}

const update = keyed(find("faults", HTMLElement), ({ name }) => name, makeRow)

const show = (faults: AllFaults) => update(Object.entries(faults).map(([name, faults]) => ({ name, faults })))

/** Shown where there is a simulator. */
export const panel: Panel = {
  refresh: reading<AllFaults>(() => "/sim/faults", (faults) => {
    show(faults)
    find("faults-panel", HTMLElement).hidden = false
  }),
  clear: () => update([])
}
