/** The probes for load balancers and orchestrators: whether the process lives, wants traffic, and has started. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"

const members = {
  checks: Schema.Record(Schema.String, Schema.Literals(["Unknown", "Healthy", "Degraded", "Failed"])).annotate({
    description: "How each of the things that count for this probe stands"
  }),
  draining: Schema.Boolean.annotate({ description: "The server has been told to stop" })
}

/** Up. */
const Up = Schema.Struct({ status: Schema.Literals(["healthy", "degraded"]), ...members })
  .annotate({ identifier: "Up" })

/** Not up. */
const Down = Schema.Struct({ status: Schema.Literal("unhealthy"), ...members })
  .annotate({ identifier: "Down" })
  .pipe(HttpApiSchema.status(503))

const probe = <const Name extends string, const Path extends `/${string}`>(name: Name, path: Path, summary: string) =>
  HttpApiEndpoint.get(name, path, { success: Up, error: Down }).annotateMerge(OpenApi.annotations({ summary }))

const live = "Whether the process makes progress. It asks no dependency"
const ready = "Whether the server wants traffic"
const startup = "Whether the server has started"

/** Probes for load balancers and orchestrators. */
export class HealthApi extends HttpApiGroup.make("health").add(
  probe("live", "/health/live", live),
  probe("livez", "/livez", live),
  probe("healthz", "/healthz", live),
  probe("ready", "/health/ready", ready),
  probe("readyz", "/readyz", ready),
  probe("readyPlain", "/ready", ready),
  probe("startup", "/health/startup", startup),
  probe("startupz", "/startupz", startup)
).annotateMerge(OpenApi.annotations({ title: "Health" })) {}
