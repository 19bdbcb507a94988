/** Serves `/admin/fallback-chains`. */
import { says } from "effect-resilience/http/Problem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Models } from "../../providers/Models.ts"
import { Api } from "../Api.ts"
import { FallbackRouteNotFound } from "../Problems.ts"

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "fallbackChains",
  Effect.fnUntraced(function*(handlers) {
    const { chain } = yield* Models
    return handlers.handleAll({
      list: () =>
        Effect.map(Effect.all([chain.states, chain.ledger]), ([states, ledger]) => ({
          fallback_chains: [{
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
          }]
        })),
      reset: ({ params: { name, route } }) =>
        Effect.gen(function*() {
          const routes = (yield* chain.states).map((state) => state.route)
          if (name !== chain.name || !routes.includes(route)) return yield* notFound(route, routes)
          yield* chain.reset(route)
        })
    })
  })
)

const notFound = (route: string, routes: ReadonlyArray<string>) =>
  new FallbackRouteNotFound(
    says(`There is no such route "${route.slice(0, 100)}". There are: ${routes.join(", ")} of "llm".`)
  )
