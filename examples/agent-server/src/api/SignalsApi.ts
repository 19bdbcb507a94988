/** `GET /admin/signals`: what happens in the policies, as it happens. */
import { AdminKey } from "effect-resilience/http/AdminKey"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"

/** Something that happened. */
export const Happening = Schema.Struct({
  at: Schema.String.annotate({ description: "ISO 8601, UTC" }),
  signal: Schema.String.annotate({ description: "What, such as `CircuitTransition`" }),
  fields: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])).annotate({
    description: "Its particulars; durations in milliseconds"
  })
}).annotate({ identifier: "Happening" })
export type Happening = typeof Happening.Type

/** An event of the stream. */
export const SignalEvent = Schema.Struct({ event: Schema.tag("signal"), data: Schema.fromJsonString(Happening) })
export type SignalEvent = typeof SignalEvent.Type

/** The signals, for the server's operator. */
export class SignalsApi extends HttpApiGroup.make("signals").add(
  HttpApiEndpoint.get("follow", "/admin/signals", { success: HttpApiSchema.StreamSse({ events: SignalEvent }) })
    .annotateMerge(OpenApi.annotations({
      summary: "What happens, as it happens",
      description:
        "Server-sent events, from now on and until the client goes away. Circuits, retries, fallbacks, letters, "
        + "health; not each single call. What a slow client misses is told as `SignalsDropped` with its number."
    }))
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Signals" })) {}
