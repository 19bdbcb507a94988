/** `/sim/faults`: what is wrong with the simulated providers. There only while they are simulated. */
import { AdminKey } from "effect-resilience/http/AdminKey"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import { AllFaults, AllFaultsPatch } from "../sim/Simulator.ts"
import * as Problems from "./Problems.ts"

/** The faults of the simulated providers, for the server's operator. */
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
  )
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Simulated providers" })) {}
