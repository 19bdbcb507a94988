/** OpenAI's chat completions over undici: one request for each call, whole or bit by bit. */
import { type Dispatcher, Pool } from "undici"

/** What the provider did wrong, and whether it may do better when it is asked again. */
export class ProviderError extends Error {
  readonly kind: "transient" | "overloaded" | "rateLimited" | "permanent" | "cutShort"
  readonly retryAfterMillis: number | undefined

  constructor(kind: ProviderError["kind"], message: string, retryAfterMillis?: number) {
    super(message)
    this.kind = kind
    this.retryAfterMillis = retryAfterMillis
  }
}

/** What a model replied. */
export interface Completion {
  readonly text: string
  readonly model: string
  readonly promptTokens: number
  readonly completionTokens: number
}

/** One thing that was said. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/** A call to the model. The headers carry the request's id and the trace. */
export interface Call {
  readonly messages: ReadonlyArray<ChatMessage>
  readonly headers: Record<string, string>
  readonly signal: AbortSignal
}

/** A reply that comes bit by bit. `completion` is called after the last bit. */
interface Streamed {
  readonly deltas: AsyncGenerator<string, void>
  readonly completion: () => Completion
}

/** A model at an endpoint. */
export interface Model {
  readonly complete: (call: Call) => Promise<Completion>
  readonly stream: (call: Call) => Promise<Streamed>
  readonly close: () => Promise<void>
}

interface Wire {
  readonly model?: string
  readonly choices?: ReadonlyArray<{
    readonly message?: { readonly content?: string | null }
    readonly delta?: { readonly content?: string | null }
    readonly finish_reason?: string | null
  }>
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
  readonly error?: { readonly message: string }
}

/** Connects. `attemptMillis` is how long an attempt may take to its first byte, and between two. */
export const makeModel = (
  options: {
    readonly baseUrl: string
    readonly model: string
    readonly connections: number
    readonly attemptMillis: number
  }
): Model => {
  const { origin, pathname } = new URL(options.baseUrl)
  const pool = new Pool(origin, {
    connections: options.connections,
    headersTimeout: options.attemptMillis,
    bodyTimeout: options.attemptMillis
  })
  const send = async ({ headers, messages, signal }: Call, stream: boolean): Promise<Dispatcher.ResponseData> => {
    const response = await pool.request({
      path: `${pathname.replace(/\/+$/, "")}/chat/completions`,
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        accept: stream ? "text/event-stream" : "application/json"
      },
      body: JSON.stringify({
        model: options.model,
        messages,
        ...(stream ? { stream, stream_options: { include_usage: true } } : {})
      }),
      signal
    }).catch((error: unknown) => {
      throw signal.aborted ? error : new ProviderError("transient", String(error))
    })
    if (response.statusCode < 400) return response
    await response.body.dump()
    throw refusal(response)
  }
  return {
    complete: async (call) => {
      const { body } = await send(call, false)
      const { choices, model, usage } = parse(await body.text())
      const content = choices?.[0]?.message?.content
      if (choices?.[0] === undefined) throw new ProviderError("transient", "the reply is not a chat completion")
      return toCompletion(content ?? "", model ?? options.model, usage)
    },
    stream: async (call) => {
      const { body } = await send(call, true)
      let text = ""
      let finished = false
      let model = options.model
      let usage: Wire["usage"]
      const deltas = async function*(): AsyncGenerator<string, void> {
        for await (const data of events(body)) {
          if (data === "[DONE]") break
          const chunk = parse(data)
          if (chunk.error !== undefined) throw new ProviderError("transient", chunk.error.message)
          model = chunk.model ?? model
          usage = chunk.usage ?? usage
          const [choice] = chunk.choices ?? []
          if (choice?.finish_reason) finished = true
          if (choice?.delta?.content) {
            text += choice.delta.content
            yield choice.delta.content
          }
        }
        if (!finished) throw new ProviderError("transient", "the stream ended before the reply did")
      }
      return { deltas: deltas(), completion: () => toCompletion(text, model, usage) }
    },
    close: () => pool.close()
  }
}

const toCompletion = (text: string, model: string, usage: Wire["usage"]): Completion => ({
  text,
  model,
  promptTokens: usage?.prompt_tokens ?? 0,
  completionTokens: usage?.completion_tokens ?? 0
})

const parse = (text: string): Wire => {
  try {
    return JSON.parse(text) as Wire
  } catch {
    throw new ProviderError("transient", "the reply is not JSON")
  }
}

const refusal = ({ headers, statusCode }: Dispatcher.ResponseData): ProviderError => {
  const seconds = Number(headers["retry-after"])
  const wait = Number.isFinite(seconds) ? seconds * 1000 : undefined
  const kind = statusCode === 429
    ? "rateLimited"
    : statusCode === 503
    ? "overloaded"
    : statusCode >= 500 || statusCode === 408
    ? "transient"
    : "permanent"
  return new ProviderError(kind, `status ${statusCode}`, wait)
}

/** The data of the events of a stream. */
async function* events(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true })
    let end = text.indexOf("\n\n")
    while (end !== -1) {
      const event = text.slice(0, end)
      text = text.slice(end + 2)
      if (event.startsWith("data: ")) yield event.slice(6)
      end = text.indexOf("\n\n")
    }
  }
}
