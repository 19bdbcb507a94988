/** Serves `/admin/profile`. */
import * as NodeProfiler from "@effect-resilience/node/NodeProfiler"
import * as Problem from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Api } from "../Api.ts"

const defaultSeconds = 5

/** A file that the browser keeps. */
const fileOf = (name: string, contentType: string) => ({
  contentType,
  headers: { "content-disposition": `attachment; filename="${name}"`, "cache-control": "no-store" }
})

const busy = Problem.reply("overloaded", {
  message: "Another profile is being made. There is one at a time.",
  retryAfter: "5 seconds"
})

const failed = (error: NodeProfiler.ProfilerFailed) =>
  Effect.andThen(
    Effect.logError("no profile could be made", error),
    Problem.reply("internal_error", { message: "No profile could be made. The log says why." })
  )

/** A whole reply where there is a whole profile; else the problem. */
const cpu = (profiler: NodeProfiler.NodeProfiler["Service"], seconds: number) =>
  profiler.cpu({ seconds }).pipe(
    Effect.map((profile) => HttpServerResponse.text(profile, fileOf("agent-server.cpuprofile", "application/json"))),
    Effect.catchTags({
      ProfilerBusy: () => busy,
      ProfilerFailed: failed,
      // The endpoint's schema has the same limits.
      ProfileTooLong: Effect.die
    })
  )

/** The first piece says whether there are more: a reply that has begun cannot become a problem. */
const heap = (profiler: NodeProfiler.NodeProfiler["Service"]) =>
  Stream.peel(profiler.heap, Sink.head<Uint8Array>()).pipe(
    Effect.map(([first, rest]) =>
      HttpServerResponse.stream(
        Stream.concat(Stream.fromIterable(Option.toArray(first)), rest),
        fileOf("agent-server.heapsnapshot", "application/json")
      )
    ),
    Effect.catchTags({ ProfilerBusy: () => busy, ProfilerFailed: failed })
  )

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "profile",
  Effect.fnUntraced(function*(handlers) {
    const profiler = yield* NodeProfiler.NodeProfiler
    return handlers.handleAll({
      cpu: ({ query }) => cpu(profiler, query.seconds ?? defaultSeconds),
      heap: () => heap(profiler)
    })
  })
)
