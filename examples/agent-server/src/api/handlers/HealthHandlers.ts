/** Serves the probes. They read what the checks have found out, and wait for none. */
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Api } from "../Api.ts"

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fnUntraced(function*(handlers) {
    const health = yield* HealthProbes.HealthProbes
    const live = () => answer(health.live)
    const ready = () => answer(health.ready)
    const startup = () => answer(health.startup)
    return handlers.handleAll({
      live,
      livez: live,
      healthz: live,
      ready,
      readyz: ready,
      readyPlain: ready,
      startup,
      startupz: startup
    })
  })
)

/** An answer that is kept somewhere on the way would be worse than none. */
const notStored = HttpEffect.appendPreResponseHandler((_, response) =>
  Effect.succeed(HttpServerResponse.setHeader(response, "cache-control", "no-store"))
)

/** Names and states for everybody: why something is not well is told to the operator only. */
const answer = (probe: Effect.Effect<HealthProbes.Verdict>) =>
  Effect.flatMap(Effect.andThen(notStored, probe), ({ checks, draining, status }) => {
    const body = { checks: Object.fromEntries(checks.map(({ name, state }) => [name, state])), draining }
    return status === "unhealthy" ? Effect.fail({ status, ...body }) : Effect.succeed({ status, ...body })
  })
