/** What clients of the server do that speak to it. */
import type * as Effect from "effect/Effect"
import { type Reply, request } from "./client.ts"
import type { RunningServer } from "./server.ts"

/** Says something to an agent aloud. */
export const say = (
  server: RunningServer,
  recording: Uint8Array | string,
  options: {
    readonly query?: Readonly<Record<string, string>>
    readonly headers?: Readonly<Record<string, string>>
    readonly stream?: boolean
  } = {}
): Effect.Effect<Reply> =>
  request(server, `/v1/speech_to_speech?${new URLSearchParams(options.query)}`, {
    method: "POST",
    headers: {
      "content-type": "audio/wav",
      ...(options.stream === true ? { accept: "text/event-stream" } : {}),
      ...options.headers
    },
    // `slice` makes it bytes of an ArrayBuffer, which is what a request may be made of.
    body: typeof recording === "string" ? recording : recording.slice()
  })
