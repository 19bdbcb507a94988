/** `/sim/*`: what is wrong with the simulated providers, and what they bill. There only while they are simulated. */
import { AdminKey } from "effect-resilience/http/AdminKey"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AllFaults, AllFaultsPatch } from "../sim/Simulator.ts"
import * as Problems from "./Problems.ts"

/** What a provider counted, by its own words in its own units. */
const Page = Schema.Struct({
  calls: Schema.Int,
  answered: Schema.Int,
  refused: Schema.Int,
  broken_off: Schema.Int,
  prompt_tokens: Schema.Int,
  completion_tokens: Schema.Int,
  audio_ms: Schema.Finite,
  characters: Schema.Int
}).annotate({ identifier: "SimulatedBill" })

/** The faults of the simulated providers and what they bill, for the server's operator. */
export class SimApi extends HttpApiGroup.make("sim").add(
  HttpApiEndpoint.get("faults", "/sim/faults", { success: AllFaults, error: Problems.NotSimulated })
    .annotateMerge(OpenApi.annotations({ summary: "What is wrong with the simulated providers" })),
  HttpApiEndpoint.put("changeFaults", "/sim/faults", {
    payload: AllFaultsPatch,
    success: AllFaults,
    error: [
      Problems.InvalidRequest,
      Problems.NotSimulated,
      Problems.BodyTooLarge,
      Problems.UnsupportedMediaType
    ]
  }).annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" }).annotateMerge(
    OpenApi.annotations({
      summary: "Break or mend the simulated providers",
      description: "Changes what is given and leaves the rest as it is."
    })
  ),
  HttpApiEndpoint.get("ledger", "/sim/ledger", {
    success: Schema.Record(Schema.String, Page),
    error: Problems.NotSimulated
  }).annotateMerge(OpenApi.annotations({
    summary: "What the simulated providers would bill",
    description: "The truth that everybody else's figures have to match, by provider and since the start."
  }))
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Simulated providers" })) {}
