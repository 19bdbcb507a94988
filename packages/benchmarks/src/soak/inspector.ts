/** Speaks the protocol of Node's inspector with another process. */

/** A connection to it. */
export interface Inspector {
  /** Calls a method. The answer is `any`: which form it has is the method's affair. */
  readonly ask: (method: string, params?: object) => Promise<any>
  readonly close: () => void
}

/** Connects to the address that a process started with `--inspect` writes to standard error. */
export const connect = async (url: string): Promise<Inspector> => {
  const socket = new WebSocket(url)
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve(), { once: true })
    socket.addEventListener("error", () => reject(new Error(`no inspector at ${url}`)), { once: true })
  })
  const waiting = new Map<number, { readonly resolve: (answer: any) => void; readonly reject: (why: Error) => void }>()
  socket.addEventListener("message", ({ data }) => {
    const { error, id, result } = JSON.parse(String(data))
    const caller = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) caller?.resolve(result)
    else caller?.reject(new Error(error.message))
  })
  socket.addEventListener("close", () => {
    for (const { reject } of waiting.values()) reject(new Error("the process that was inspected has ended"))
    waiting.clear()
  })
  let asked = 0
  return {
    ask: (method, params = {}) =>
      new Promise((resolve, reject) => {
        waiting.set(++asked, { resolve, reject })
        socket.send(JSON.stringify({ id: asked, method, params }))
      }),
    close: () => socket.close()
  }
}
