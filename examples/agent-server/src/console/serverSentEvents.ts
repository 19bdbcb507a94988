/** Reads server-sent events from the body of a reply: `EventSource` can neither post nor send a key. */

/** An event with its data as text. */
export interface ServerSentEvent {
  readonly event: string
  readonly data: string
}

/** More than this without an end of an event is no stream of ours. */
const maxBuffered = 4_000_000

/** A reader that is given the text as it comes and answers with the events that are complete. */
export const makeParser = (): (text: string) => ReadonlyArray<ServerSentEvent> => {
  let rest = ""
  return (text) => {
    rest += text
    // A carriage return at the very end may be the first half of a line's end.
    const held = rest.endsWith("\r") ? "\r" : ""
    const blocks = rest.slice(0, rest.length - held.length).replaceAll(/\r\n?/g, "\n").split("\n\n")
    rest = (blocks.pop() ?? "") + held
    if (rest.length > maxBuffered) throw new RangeError("an event of the stream does not end")
    return blocks.map(toEvent).filter((event) => event !== undefined)
  }
}

/** A block without data, a comment say, is no event. */
const toEvent = (block: string): ServerSentEvent | undefined => {
  let event = "message"
  const data: Array<string> = []
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (field === "event" && value !== undefined) event = value
    if (field === "data" && value !== undefined) data.push(value)
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n") }
}

/** The events of a body, as they arrive. */
export const read = async function*(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const parse = makeParser()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      yield* parse(done ? decoder.decode() : decoder.decode(value, { stream: true }))
      if (done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
