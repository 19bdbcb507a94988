/** The address as real sockets tell it, IPv4, IPv6 and the one mapped into the other. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Http from "node:http"

const app = Effect.gen(function*() {
  const client = yield* ClientAddress.ClientAddress
  const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
  return HttpServerResponse.jsonUnsafe({ key: client?.key, remote: Option.getOrUndefined(remoteAddress) })
})

/** Asks a server with these proxies, listening on this address of the loopback interface, at that one. */
const ask = (
  options: {
    readonly listen: string
    readonly host: string
    readonly trustedProxies: ReadonlyArray<string>
    readonly forwardedFor: string
  }
) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    if (!("port" in address)) return assert.fail("no port")
    const request = {
      host: options.host,
      port: address.port,
      agent: false,
      headers: { "x-forwarded-for": options.forwardedFor }
    } as const
    return yield* Effect.callback<unknown>((resume) => {
      Http.get(request, (reply) => {
        let text = ""
        reply.setEncoding("utf8").on("data", (chunk) => {
          text += chunk
        }).on("end", () => resume(Effect.succeed(JSON.parse(text))))
      })
    })
  }).pipe(
    Effect.provide(
      HttpServer.serve(app, ClientAddress.middleware({ trustedProxies: options.trustedProxies })).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: options.listen }))
      )
    )
  )

describe("ClientAddress over real sockets", () => {
  it.live("RL-14 believes a header that a trusted proxy sends", () =>
    Effect.gen(function*() {
      const told = yield* ask({
        listen: "127.0.0.1",
        host: "127.0.0.1",
        trustedProxies: ["127.0.0.0/8"],
        forwardedFor: "6.6.6.6, 2001:db8::7"
      })
      assert.deepStrictEqual(told, { key: "2001:db8::/64", remote: "2001:db8::7" })
    }))

  it.live("RL-14 believes no header of anybody else", () =>
    Effect.gen(function*() {
      const told = yield* ask({
        listen: "127.0.0.1",
        host: "127.0.0.1",
        trustedProxies: ["10.0.0.0/8"],
        forwardedFor: "6.6.6.6"
      })
      assert.deepStrictEqual(told, { key: "127.0.0.1", remote: "127.0.0.1" })
    }))

  it.live("RL-14 knows an IPv4 peer on a socket for both families, which Node maps into IPv6", () =>
    Effect.gen(function*() {
      const options = { listen: "::", host: "127.0.0.1", forwardedFor: "198.51.100.7" }
      const untrusted = yield* ask({ ...options, trustedProxies: [] })
      assert.deepStrictEqual(untrusted, { key: "127.0.0.1", remote: "127.0.0.1" })
      const trusted = yield* ask({ ...options, trustedProxies: ["127.0.0.1"] })
      assert.deepStrictEqual(trusted, { key: "198.51.100.7", remote: "198.51.100.7" })
    }))
})
