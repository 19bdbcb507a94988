/** Requests to the server this page is from. Nothing is thrown: what went wrong is an answer, too. */
import * as Connection from "./connection.ts"
import * as Events from "./serverSentEvents.ts"
import type { Slot } from "./storage.ts"
import { problem, type Trouble } from "./trouble.ts"

/** An answer, or why there is none. */
export type Outcome<A> =
  | { readonly _tag: "Answered"; readonly value: A }
  | { readonly _tag: "Failed"; readonly trouble: Trouble }

const answered = <A>(value: A): Outcome<A> => ({ _tag: "Answered", value })
const failed = (trouble: Trouble): Outcome<never> => ({ _tag: "Failed", trouble })

/** What to send, and until when to wait. */
export interface Request {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE"
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, in the place of a body. */
  readonly text?: { readonly type: string; readonly value: string }
  readonly headers?: Readonly<Record<string, string>>
  readonly key?: Slot
  readonly signal?: AbortSignal
}

const send = async (path: string, { body, headers, key, method = "GET", signal, text }: Request): Promise<Response> => {
  const value = key?.get()
  const sent = body === undefined ? text : { type: "application/json", value: JSON.stringify(body) }
  return await fetch(path, {
    method,
    cache: "no-store",
    headers: {
      ...(sent === undefined ? {} : { "content-type": sent.type }),
      ...(value === undefined ? {} : { authorization: `Bearer ${value}` }),
      ...headers
    },
    ...(sent === undefined ? {} : { body: sent.value }),
    ...(signal === undefined ? {} : { signal })
  })
}

/** Whether it was given up because it took too long, and not because somebody said so. */
const isStopped = (signal: AbortSignal | undefined): boolean => signal?.aborted === true && !isTimeout(signal)

/** Whether a signal is one whose time was up. */
export const isTimeout = ({ reason }: AbortSignal): boolean =>
  reason instanceof DOMException && reason.name === "TimeoutError"

/** Of a request that threw: the page's own doing, or nobody there. */
const unanswered = (signal: AbortSignal | undefined): Trouble => {
  if (isStopped(signal)) return { _tag: "Stopped" }
  Connection.lost()
  return { _tag: "Unreachable", offline: !navigator.onLine }
}

const begun = async (path: string, request: Request): Promise<Outcome<Response>> => {
  try {
    const response = await send(path, request)
    Connection.found()
    if (response.ok) return answered(response)
    // What has no JSON is not the server's word; its status is all there is.
    return failed(problem(await response.json().catch(() => undefined), response.status))
  } catch {
    return failed(unanswered(request.signal))
  }
}

/** A request whose answer is JSON of this type, or nothing (`undefined`): the server's word, which is not checked again. */
export const json = async <A>(path: string, request: Request = {}): Promise<Outcome<A>> => {
  const outcome = await begun(path, request)
  if (outcome._tag === "Failed") return outcome
  try {
    const text = await outcome.value.text()
    // The types are those of the server's own declarations, and it is the server that this page is from.
    return answered((text === "" ? undefined : JSON.parse(text)) as A)
  } catch {
    return failed(isStopped(request.signal) ? { _tag: "Stopped" } : { _tag: "BrokenOff" })
  }
}

/**
 * A request whose answer is a stream of events, which `take` hears with their data as JSON until it answers with something.
 * A stream that ends before that broke off.
 */
export const events = async <A>(
  path: string,
  request: Request,
  take: (event: string, data: unknown) => A | undefined
): Promise<Outcome<A>> => {
  const outcome = await begun(path, { ...request, headers: { accept: "text/event-stream", ...request.headers } })
  if (outcome._tag === "Failed") return outcome
  const { body } = outcome.value
  if (body === null) return failed({ _tag: "BrokenOff" })
  try {
    for await (const { data, event } of Events.read(body)) {
      const value = take(event, JSON.parse(data))
      if (value !== undefined) return answered(value)
    }
  } catch {
    if (isStopped(request.signal)) return failed({ _tag: "Stopped" })
  }
  return failed({ _tag: "BrokenOff" })
}
