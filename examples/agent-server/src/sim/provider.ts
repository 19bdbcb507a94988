/** What all simulated providers have in common: which fault a call meets, how a reply is sent, and what is billed for it. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as Faults from "./faults.ts"
import type * as Ledger from "./ledger.ts"

/** What a simulated provider is made of. Its faults may be replaced at any time. */
export interface Provider {
  readonly name: string
  readonly random: Random.Random
  readonly page: Ledger.Page
  faults: Faults.Faults
}

/** A reply, once it is known what it is. */
export type Reply = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

/** A call that is let through, as it came in. */
export interface Call {
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string | undefined>>
  /** After how many pieces the reply breaks off, if it does. */
  readonly truncateAt: number | undefined
}

/** How an API says no with a status, and with how many seconds to wait where the fault names them. */
export type Refusal = (status: number, retryAfter: number | undefined) => HttpServerResponse.HttpServerResponse

/** Answers a call with `answer`, unless a fault falls on it. */
export const meet = (provider: Provider, refusal: Refusal, answer: (call: Call) => Reply): Reply =>
  Effect.gen(function*() {
    const { page } = provider
    page.calls++
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* Effect.orElseSucceed(request.arrayBuffer, () => new ArrayBuffer(0))
    const { delayMillis, outcome } = Faults.draw(provider.faults, provider.random)
    yield* Effect.sleep(delayMillis)
    if (outcome._tag === "Reply") {
      return yield* answer({ body: new Uint8Array(body), headers: request.headers, truncateAt: outcome.truncateAt })
    }
    if (outcome._tag === "Drop") page.brokenOff++
    else if (outcome._tag !== "Hang") page.refused++
    return yield* suffer(outcome, refusal)
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => provider.page.brokenOff++)))

/**
 * Answers what costs nothing, such as a list of models, unless there is a fault that falls on every call. It is in no ledger and
 * draws no random numbers: whoever asks whether the provider is well does not change what its calls meet.
 */
export const meetFree = (provider: Provider, refusal: Refusal, body: unknown): Reply =>
  Effect.suspend(() => {
    const { delayMillis, outcome } = Faults.certain(provider.faults)
    const reply = outcome._tag === "Reply"
      ? Effect.succeed(HttpServerResponse.jsonUnsafe(body))
      : suffer(outcome, refusal)
    return Effect.delay(reply, delayMillis)
  })

type Fault = Exclude<Faults.Fate["outcome"], { readonly _tag: "Reply" }>

const suffer = (fault: Fault, refusal: Refusal): Reply => {
  switch (fault._tag) {
    case "Drop":
      return drop
    case "Hang":
      return Effect.never
    case "Garbage":
      return Effect.succeed(HttpServerResponse.html("<!doctype html><title>Welcome to nginx!</title>"))
    case "Refuse":
      return Effect.succeed(refusal(fault.status, fault.retryAfter))
  }
}

/** Cuts the connection without a word. */
const drop: Reply = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
  NodeHttpServerRequest.toServerResponse(request).destroy()
  return HttpServerResponse.empty()
})

/** Refuses a call for what it asks. */
export const refuse = (provider: Provider, response: HttpServerResponse.HttpServerResponse): Reply =>
  Effect.sync(() => {
    provider.page.refused++
    return response
  })

const encoder = new TextEncoder()

/** The bytes of a text. */
export const encode = (text: string): Uint8Array => encoder.encode(text)

const broken = new Error("the simulated connection broke")

/** A reply that is not streamed. */
export interface Whole {
  readonly bytes: Uint8Array
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
  readonly truncateAt: number | undefined
  /** Writes into the ledger what the reply costs. */
  readonly bill: (page: Ledger.Page) => void
}

/** Sends a reply at once, or its first half where the connection is to break. */
export const atOnce = (provider: Provider, reply: Whole): Reply =>
  Effect.sync(() => {
    const { bytes, contentType, headers = {} } = reply
    reply.bill(provider.page)
    if (reply.truncateAt === undefined) {
      provider.page.answered++
      return HttpServerResponse.uint8Array(bytes, { contentType, headers })
    }
    provider.page.brokenOff++
    return HttpServerResponse.stream(
      Stream.concat(Stream.make(bytes.subarray(0, bytes.length >> 1)), Stream.fail(broken)),
      { contentType, headers }
    )
  })

/** A reply that is streamed: its pieces with pauses between them, what comes before them, and what after. */
export interface Streamed {
  readonly head: Uint8Array
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly ending: ReadonlyArray<Uint8Array>
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
  readonly truncateAt: number | undefined
  /** Writes into the ledger what the pieces that were sent cost. */
  readonly bill: (page: Ledger.Page, sent: number) => void
}

/** Streams a reply, and bills what was sent of it when it ends, breaks, or is left by its reader. */
export const streamed = (provider: Provider, reply: Streamed): Reply =>
  Effect.sync(() => {
    const { faults, page } = provider
    const pause = faults.chunk_ms > 0 ? Effect.sleep(faults.chunk_ms) : Effect.void
    // What is billed must have left: a connection that is cut in the same moment takes its last piece with it.
    const breaking = Stream.unwrap(Effect.as(Effect.sleep(Math.max(1, faults.chunk_ms)), Stream.fail(broken)))
    let sent = 0
    const pieces = Stream.fromIterable(reply.pieces.slice(0, reply.truncateAt)).pipe(
      Stream.mapEffect((piece) =>
        Effect.map(pause, () => {
          sent++
          return piece
        })
      )
    )
    const body = Stream.make(reply.head).pipe(
      Stream.concat(pieces),
      Stream.concat(reply.truncateAt === undefined ? Stream.fromIterable(reply.ending) : breaking),
      Stream.onExit((exit) =>
        Effect.sync(() => {
          reply.bill(page, sent)
          if (Exit.isSuccess(exit)) page.answered++
          else page.brokenOff++
        })
      )
    )
    return HttpServerResponse.stream(body, { contentType: reply.contentType, headers: { ...reply.headers } })
  })
