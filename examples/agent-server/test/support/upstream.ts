/** A provider that says exactly what a test wants, and remembers what it was asked. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"

/** A call as it came in. */
export interface Call {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** `any`: whatever was sent. */
  readonly body: any
  /** Whether the caller went away before it had its reply. */
  readonly aborted: () => boolean
}

/** The running provider. */
export interface Upstream {
  readonly baseUrl: string
  readonly calls: ReadonlyArray<Call>
  /** How often it was asked whether it is well: those are no calls. */
  readonly probes: () => number
  /** What it says to that from now on. It says yes, until it is told otherwise. */
  readonly onProbe: (answer: (response: ServerResponse) => void) => void
}

/** What was sent: JSON as what it says, and else its bytes. */
const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (bytes.length === 0) return undefined
  return request.headers["content-type"]?.startsWith("application/json") === true ? JSON.parse(String(bytes)) : bytes
}

/** Answers each call by `answer`, until the scope closes. */
export const upstream = (
  answer: (response: ServerResponse, call: Call) => void
): Effect.Effect<Upstream, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => {
        const calls: Array<Call> = []
        const probes = { count: 0, answer: (response: ServerResponse) => replyJson(response, "{\"data\":[]}") }
        const server = createServer((request, response) => {
          if (request.url?.endsWith("/models") === true) {
            probes.count++
            probes.answer(response)
            return
          }
          void bodyOf(request).then((body) => {
            let aborted = false
            response.on("close", () => aborted = !response.writableFinished)
            const call: Call = {
              url: request.url ?? "",
              headers: request.headers,
              body,
              aborted: () => aborted
            }
            calls.push(call)
            answer(response, call)
          })
        })
        type Running = { readonly server: typeof server; readonly calls: typeof calls; readonly probes: typeof probes }
        return new Promise<Running>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve({ server, calls, probes }))
        )
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    ({ calls, probes, server }) => {
      const address = server.address()
      return {
        baseUrl: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/v1`,
        calls,
        probes: () => probes.count,
        onProbe: (answer: (response: ServerResponse) => void) => void (probes.answer = answer)
      }
    }
  )

/** A chat completion with this text. */
export const completion = (text: string, more: object = {}): string =>
  JSON.stringify({
    id: "chatcmpl-1",
    model: "gpt-4o-2024-08-06",
    choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
    usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 },
    ...more
  })

/** Replies with JSON. */
export const replyJson = (
  response: ServerResponse,
  body: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {}
): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(body)
}

/** Replies with an event stream whose bytes come so many at a time. */
export const replyInPieces = (response: ServerResponse, bytes: Uint8Array, size: number): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const write = (at: number): void => {
    if (at >= bytes.length) return void response.end()
    response.write(bytes.subarray(at, at + size), () => write(at + size))
  }
  write(0)
}
