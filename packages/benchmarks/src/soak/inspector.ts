/** Speaks the protocol of Node's inspector with another process. */

/** A connection to it. */
export interface Inspector {
  readonly collectGarbage: () => Promise<void>
  /** The value of an expression in the process, as text. */
  readonly evaluate: (expression: string) => Promise<string>
  readonly close: () => void
}

interface Answer {
  readonly id?: number
  readonly error?: { readonly message: string }
  /** What a method that was called returns; only that of `Runtime.evaluate` is looked at. */
  readonly result?: { readonly result?: { readonly value?: unknown } }
}

interface Caller {
  readonly resolve: (answer: Answer) => void
  readonly reject: (why: Error) => void
}

/** Connects to the address that a process started with `--inspect` writes to standard error. */
export const connect = async (url: string): Promise<Inspector> => {
  const socket = new WebSocket(url)
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve(), { once: true })
    socket.addEventListener("error", () => reject(new Error(`no inspector at ${url}`)), { once: true })
  })
  const waiting = new Map<number, Caller>()
  socket.addEventListener("message", ({ data }) => {
    const answer: Answer = JSON.parse(String(data))
    // What has no id is an event, and nobody asked for any.
    if (answer.id === undefined) return
    const caller = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (answer.error === undefined) caller?.resolve(answer)
    else caller?.reject(new Error(answer.error.message))
  })
  socket.addEventListener("close", () => {
    for (const { reject } of waiting.values()) reject(new Error("the process that was inspected has ended"))
    waiting.clear()
  })
  let asked = 0
  const ask = (method: string, params: object = {}) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.set(++asked, { resolve, reject })
      socket.send(JSON.stringify({ id: asked, method, params }))
    })
  return {
    collectGarbage: async () => {
      await ask("HeapProfiler.collectGarbage")
    },
    evaluate: async (expression) => {
      const { result } = await ask("Runtime.evaluate", { expression: `String(${expression})` })
      return String(result?.result?.value)
    },
    close: () => socket.close()
  }
}
