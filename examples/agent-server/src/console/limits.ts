/** The limits: gauges of those that everybody shares, and a look at one caller's. */
import { find, h, keyed, type Row, setText, tableRow } from "./dom.ts"
import * as Http from "./http.ts"
import { acting, type Panel } from "./panel.ts"
import { adminKey } from "./storage.ts"
import { line, type Trouble } from "./trouble.ts"
import type { Facts, Limits } from "./wire.ts"
import { count, millis } from "./words.ts"

interface Gauge {
  readonly name: string
  readonly unit: string
  readonly limit: number
  readonly remaining: number
  readonly resetAfter: number | null
}

const makeRow = ({ name }: Gauge): Row<Gauge> => {
  const [left, whole] = [h("span"), h("span")]
  const meter = h("meter", { min: "0", "aria-label": `What is left of ${name}` })
  return {
    element: tableRow(name, left, meter, whole),
    update: ({ limit, remaining, resetAfter, unit }) => {
      const words = `${count(remaining)} of ${count(limit)} ${unit}`
      setText(left, words)
      // Not everybody hears a meter's figures.
      meter.title = words
      meter.max = limit
      meter.low = limit * 0.25
      meter.high = limit * 0.5
      meter.optimum = limit
      meter.value = Math.max(0, remaining)
      setText(whole, millis(resetAfter))
    }
  }
}

const show = keyed(find("limits", HTMLElement), ({ name }) => name, makeRow)

const pathOf = (policy: string, key: string) =>
  `/admin/rate-limits?policy=${encodeURIComponent(policy)}&key=${encodeURIComponent(key)}`

const toGauges = ({ key, policy, rules }: Limits): ReadonlyArray<Gauge> =>
  rules.map(({ limit, remaining, reset_after_ms, rule, unit }) => ({
    name: `${policy === key ? policy : `${policy} of ${key}`}: ${rule}`,
    unit,
    limit,
    remaining,
    resetAfter: reset_after_ms
  }))

/** The panel, for the limits that the server names. */
export const make = ({ limits, policies }: Facts): Panel => {
  const policy = find("limit-policy", HTMLSelectElement)
  policy.replaceChildren(...policies.map((name) => h("option", { value: name }, name)))
  return {
    refresh: async (signal) => {
      const outcomes = await Promise.all(
        limits.map(({ key, policy }) => Http.json<Limits>(pathOf(policy, key), { key: adminKey, signal }))
      )
      if (signal.aborted) return undefined
      show(outcomes.flatMap((outcome) => outcome._tag === "Answered" ? toGauges(outcome.value) : []))
      return outcomes.map((outcome): Trouble | undefined => outcome._tag === "Failed" ? outcome.trouble : undefined)
        .find((trouble) => trouble !== undefined)
    },
    clear: () => {
      show([])
      setText(find("limit-answer", HTMLElement), "")
    }
  }
}

const look = async () => {
  const [policy, key] = [find("limit-policy", HTMLSelectElement).value, find("limit-key", HTMLInputElement).value]
  const outcome = await Http.json<Limits>(pathOf(policy, key), { key: adminKey })
  setText(
    find("limit-answer", HTMLElement),
    outcome._tag === "Failed"
      ? line(outcome.trouble)
      : toGauges(outcome.value).map(({ limit, name, remaining, resetAfter, unit }) =>
        `${name}: ${count(remaining)} of ${count(limit)} ${unit} left, whole in ${millis(resetAfter)}`
      ).join("; ")
  )
}

/** Makes the form work. */
export const start = (): void => {
  const form = find("limit-form", HTMLFormElement)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void look()
  })
  find("limit-reset", HTMLButtonElement).addEventListener("click", () => {
    if (!form.reportValidity()) return
    const [policy, key] = [find("limit-policy", HTMLSelectElement).value, find("limit-key", HTMLInputElement).value]
    void acting(pathOf(policy, key), { method: "DELETE" }, `Forgotten what ${key} has taken of ${policy}.`).then(look)
  })
}
