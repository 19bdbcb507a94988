/** The whole API. The routes, the checks of what comes in, the reference at `/docs` and `/openapi.json` come from here. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import { Monitoring } from "effect-resilience/http/MonitoringApi"
import * as HttpApi from "effect/http-api/HttpApi"
import * as OpenApi from "effect/http-api/OpenApi"
import { AgentsApi } from "./AgentsApi.ts"
import { ChatApi } from "./ChatApi.ts"
import { FallbackChainsApi } from "./FallbackChainsApi.ts"
import { HealthApi } from "./HealthApi.ts"
import { ProfileApi } from "./ProfileApi.ts"
import { SessionsApi } from "./SessionsApi.ts"
import { SignalsApi } from "./SignalsApi.ts"
import { SimApi } from "./SimApi.ts"
import { VoiceApi } from "./VoiceApi.ts"

/** The server's HTTP API. */
export class Api extends HttpApi.make("agent-server")
  .add(ChatApi)
  .add(VoiceApi)
  .add(AgentsApi)
  .add(SessionsApi)
  .add(HealthApi)
  .add(Monitoring)
  .add(AdminApi.CircuitBreakers)
  .add(FallbackChainsApi)
  .add(AdminApi.RateLimits)
  .add(AdminApi.DeadLetters)
  .add(AdminApi.Policies)
  .add(ProfileApi)
  .add(SignalsApi)
  .add(SimApi)
  .annotate(HttpApi.ParseOptions, { errors: "all" })
  .annotateMerge(OpenApi.annotations({
    title: "agent-server",
    version: "0.1.0",
    description: "Text and voice agents that stay up while their providers fall over.\n\n"
      + "Errors are problem details (RFC 9457) with a stable `code`. Every reply has an `X-Request-ID`."
  }))
{}
