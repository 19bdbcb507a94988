/** How the chain of language models routes: who is asked first, who rests, and what each was used for. */
import { badge, button, find, h, keyed, type Mood, type Row, setText, tableRow } from "./dom.ts"
import { acting, type Panel, reading } from "./panel.ts"
import type { Chains, Route } from "./wire.ts"
import { count, millis, spaced } from "./words.ts"

interface Line extends Route {
  readonly chain: string
}

const moods: Readonly<Record<Route["state"], Mood>> = {
  Ready: "good",
  Cooling: "unsure",
  Limited: "unsure",
  Halted: "bad"
}

const cost = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 4 })

const makeRow = ({ chain, route }: Line): Row<Line> => {
  const state = badge()
  const [rests, latency, calls, tokens, spent] = [h("span"), h("span"), h("span"), h("span"), h("span")]
  const reset = button(
    "Ask again",
    () =>
      acting(
        `/admin/fallback-chains/${encodeURIComponent(chain)}/routes/${encodeURIComponent(route)}/reset`,
        {},
        `${route} will be asked again.`
      ),
    `Ask again: ${route}`
  )
  return {
    element: tableRow(route, state.element, rests, latency, calls, tokens, spent, reset),
    update: (now) => {
      state.update(moods[now.state], spaced(now.state))
      setText(rests, now.rests_for_ms > 0 ? millis(now.rests_for_ms) : "–")
      setText(latency, millis(now.latency_ms))
      setText(calls, count(now.charges))
      setText(tokens, count(now.prompt_tokens + now.completion_tokens))
      setText(spent, cost.format(now.cost_usd))
    }
  }
}

const show = keyed(find("routes", HTMLElement), ({ chain, route }: Line) => `${chain} ${route}`, makeRow)

export const panel: Panel = {
  refresh: reading<Chains>(() => "/admin/fallback-chains", ({ fallback_chains }) => {
    show(fallback_chains.flatMap(({ name, routes }) => routes.map((route) => ({ ...route, chain: name }))))
    setText(
      find("chain-budget", HTMLElement),
      fallback_chains.map(({ level, name, spent_usd }) =>
        `Chain ${name}: ${cost.format(spent_usd)} spent, budget ${level.toLowerCase()}. Asked from top to bottom.`
      ).join(" ")
    )
  }),
  clear: () => show([])
}
