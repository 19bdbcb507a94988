/**
 * A provider that answers at once: chat completions, whole or as a stream, the same words for everybody.
 *
 * Run as a program it takes a free port and writes its address to standard output. A request that has {@link heldWord} in
 * it gets the first word of a stream and no more, until its caller leaves.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** A message with this in it asks for a stream that does not end. */
export const heldWord = "hold-the-line"

const words = "Lisbon in three days: Alfama on foot, Belem by tram, Sintra by train.".split(" ")
const usage = { prompt_tokens: 120, completion_tokens: words.length, total_tokens: 120 + words.length }
const head = { id: "chatcmpl-1", model: "gpt-4o-2024-08-06" }

const whole = JSON.stringify({
  ...head,
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: words.join(" ") }, finish_reason: "stop" }],
  usage
})

const event = (data: object): string =>
  `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...data })}\n\n`

const events = words.map((word, index) =>
  event({ choices: [{ index: 0, delta: { content: index === 0 ? word : ` ${word}` }, finish_reason: null }] })
)

const streamed = [
  ...events,
  event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
  event({ choices: [], usage }),
  "data: [DONE]\n\n"
].join("")

const answer = (body: string, response: ServerResponse): void => {
  if (!body.includes("\"stream\":true")) {
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(whole) })
    response.end(whole)
    return
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  if (body.includes(heldWord)) response.write(events[0])
  else response.end(streamed)
}

const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => body += chunk)
  request.on("end", () => answer(body, response))
}

/** The provider, listening on a free port of loopback. */
const listen = (): Promise<{ readonly server: Server; readonly baseUrl: string }> =>
  new Promise((resolve) => {
    const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 }, onRequest)
    server.listen(0, "127.0.0.1", 16_384, () => {
      // A server that listens on a port has an address of this form.
      const { port } = server.address() as AddressInfo
      resolve({ server, baseUrl: `http://127.0.0.1:${port}/v1` })
    })
  })

if (import.meta.main) {
  const { baseUrl } = await listen()
  process.stdout.write(`listening at ${baseUrl}\n`)
}
