/** `GET /health/live` and its other names: whether the process runs. It asks no dependency. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"

const Health = Schema.Struct({
  status: Schema.Literals(["ok"]),
  checks: Schema.Record(Schema.String, Schema.String)
}).annotate({ identifier: "Health" })

const live = <const Name extends string, const Path extends `/${string}`>(name: Name, path: Path) =>
  HttpApiEndpoint.get(name, path, { success: Health })
    .annotateMerge(OpenApi.annotations({ summary: "Whether the process runs" }))

/** Probes for load balancers and orchestrators. */
export class HealthApi extends HttpApiGroup.make("health").add(
  live("live", "/health/live"),
  live("livez", "/livez"),
  live("healthz", "/healthz")
).annotateMerge(OpenApi.annotations({ title: "Health" })) {}
