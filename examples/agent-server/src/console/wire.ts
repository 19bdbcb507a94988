/** What the server says, as it travels. The types are those of the API's own declarations, so a change there is seen here. */
import type * as AdminApi from "effect-resilience/http/AdminApi"
import type * as MonitoringApi from "effect-resilience/http/MonitoringApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type { AgentsApi } from "../api/AgentsApi.ts"
import type { ChatReply } from "../api/ChatApi.ts"
import type { FallbackChainsApi } from "../api/FallbackChainsApi.ts"
import type { SessionsApi } from "../api/SessionsApi.ts"
import type { Happening } from "../api/SignalsApi.ts"
import type { SimApi } from "../api/SimApi.ts"

/** What the endpoint of this name answers with. */
type Answer<Group extends HttpApiGroup.Constraint, Name extends string> = HttpApiEndpoint.Success<
  HttpApiEndpoint.WithIdentifier<HttpApiGroup.Endpoints<Group>, Name>
>["Type"]

export type Agents = Answer<typeof AgentsApi, "list">
export type Session = Answer<typeof SessionsApi, "get">
export type Circuits = Answer<typeof AdminApi.CircuitBreakers, "list">
export type Policies = Answer<typeof AdminApi.Policies, "get">
export type ReplacedPolicies = Answer<typeof AdminApi.Policies, "replace">
export type Circuit = Circuits["circuit_breakers"][number]
export type Limits = Answer<typeof AdminApi.RateLimits, "peek">
export type Letters = Answer<typeof AdminApi.DeadLetters, "list">
export type Letter = Letters["letters"][number]
export type OpenedLetter = Answer<typeof AdminApi.DeadLetters, "get">
export type LettersReport = Answer<typeof AdminApi.DeadLetters, "report">
export type Redriven = AdminApi.RedriveReport
export type Services = Answer<typeof MonitoringApi.Monitoring, "services">
export type Service = Services["services"][number]
export type Status = Answer<typeof MonitoringApi.Monitoring, "status">
export type Chains = Answer<typeof FallbackChainsApi, "list">
export type Route = Chains["fallback_chains"][number]["routes"][number]
export type AllFaults = Answer<typeof SimApi, "faults">
export type Faults = AllFaults["llm-primary"]
export type { ChatReply, Happening }

/** Of what the server knows and no endpoint tells: the limits that are worth a gauge, all policies, whether providers are simulated. */
export interface Facts {
  readonly limits: ReadonlyArray<{ readonly policy: string; readonly key: string }>
  readonly policies: ReadonlyArray<string>
  readonly simulated: boolean
}
