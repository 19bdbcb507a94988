/** Serves `/admin/fallback-chains`. */
import { says } from "effect-resilience/http/Problem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Models } from "../../providers/Models.ts"
import { type Chain, Speech } from "../../voice/Speech.ts"
import { Api } from "../Api.ts"
import { FallbackRouteNotFound } from "../Problems.ts"

/** The handlers, for the chains of models and of speech services. */
export const layer = HttpApiBuilder.group(
  Api,
  "fallbackChains",
  Effect.fnUntraced(function*(handlers) {
    const chains = [(yield* Models).chain, ...(yield* Speech).chains]
    return handlers.handleAll({
      list: () => Effect.map(Effect.forEach(chains, toBody), (fallback_chains) => ({ fallback_chains })),
      reset: ({ params: { name, route } }) =>
        Effect.gen(function*() {
          const chain = chains.find((each) => each.name === name)
          if (chain === undefined) return yield* noSuch("chain", name, chains.map((each) => each.name))
          const routes = (yield* chain.states).map((state) => state.route)
          if (!routes.includes(route)) return yield* noSuch("route", route, routes)
          yield* chain.reset(route)
        })
    })
  })
)

const toBody = (chain: Chain) =>
  Effect.map(Effect.all([chain.states, chain.ledger]), ([states, ledger]) => ({
    name: chain.name,
    spent_usd: ledger.spent,
    level: ledger.level,
    routes: states.map(({ latency, restsFor, route, state }) => {
      const line = ledger.routes[route]
      return {
        route,
        state,
        rests_for_ms: Duration.toMillis(restsFor),
        latency_ms: latency === undefined ? null : Duration.toMillis(latency),
        charges: line?.charges ?? 0,
        prompt_tokens: line?.input ?? 0,
        completion_tokens: line?.output ?? 0,
        cost_usd: line?.cost ?? 0,
        unpriced_tokens: line?.unpriced ?? 0
      }
    })
  }))

const noSuch = (what: "chain" | "route", name: string, known: ReadonlyArray<string>) =>
  new FallbackRouteNotFound(says(`There is no such ${what} "${name.slice(0, 100)}". There are: ${known.join(", ")}.`))
