/** Serves `/admin/signals`. */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as EventStream from "effect-resilience/http/EventStream"
import * as Signal from "effect-resilience/Signal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Stream from "effect/Stream"
import { Api } from "../Api.ts"
import { fieldsOf, isTold } from "../signalFields.ts"
import type { SignalEvent } from "../SignalsApi.ts"

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "signals",
  Effect.fnUntraced(function*(handlers) {
    const server = yield* NodeServer.NodeServer
    return handlers.handle(
      "follow",
      // Whoever looks on holds no shutdown up.
      () =>
        Effect.as(
          // A server where all is well has nothing to tell for hours.
          EventStream.passOn({ openAtOnce: true }),
          Stream.flattenIterable(server.endAtClosing(signals, (): ReadonlyArray<SignalEvent> => []))
        )
    )
  })
)

const signals: Stream.Stream<ReadonlyArray<SignalEvent>> = Stream.mapEffect(
  Stream.filter(Signal.stream(), isTold),
  (signal) =>
    Effect.map(DateTime.now, (now) => [{
      event: "signal",
      data: { at: DateTime.formatIso(now), signal: signal._tag, fields: fieldsOf(signal) }
    }])
)
