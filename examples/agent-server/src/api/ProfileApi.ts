/** `/admin/profile`: looks into the process while it runs. What comes opens in the developer tools of Chrome. */
import * as NodeProfiler from "@effect-resilience/node/NodeProfiler"
import { AdminKey } from "effect-resilience/http/AdminKey"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Problems from "./Problems.ts"

const bytes = HttpApiSchema.StreamUint8Array()

/** For how long the processor is watched. */
const Seconds = Schema.FiniteFromString.check(
  Schema.isBetween({ minimum: 0.1, maximum: NodeProfiler.maxSeconds })
).annotate({ description: `For how long, from 0.1 to ${NodeProfiler.maxSeconds}. Default 5.` })

/** Profiles, for the server's operator. One at a time: another is refused with a 503. */
export class ProfileApi extends HttpApiGroup.make("profile").add(
  HttpApiEndpoint.get("cpu", "/admin/profile/cpu", {
    query: { seconds: Schema.optionalKey(Seconds) },
    success: bytes,
    error: [Problems.InvalidRequest, Problems.InternalError]
  }).annotateMerge(OpenApi.annotations({
    summary: "What the processor does",
    description: "A .cpuprofile, after so many seconds."
  })),
  HttpApiEndpoint.get("heap", "/admin/profile/heap", {
    success: bytes,
    error: Problems.InternalError
  }).annotateMerge(OpenApi.annotations({
    summary: "What is in memory",
    description:
      "A .heapsnapshot. The server stands still while it is taken, and it has everything in it that the server knows."
  }))
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Profiles" })) {}
