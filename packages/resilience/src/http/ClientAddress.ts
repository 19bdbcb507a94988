/**
 * Where a request really comes from, when there may be proxies on the way.
 *
 * Whoever calls can write into `X-Forwarded-For` what they like. It is believed only as far as proxies of one's own have
 * written it: the list is walked from the nearest hop outwards, past the addresses in `trustedProxies`, and the first one
 * that is not among them is the client. When the request does not come from a trusted proxy, the header is not read.
 *
 * {@link Client} has a `key` to limit by. An IPv4 address mapped into IPv6 (`::ffff:203.0.113.7`) is that IPv4 address. An
 * IPv6 address counts as its /64, because a single customer has at least so many addresses to choose from.
 *
 * - An entry that is no address (`unknown`, a name, nonsense) ends the walk: the client is the last hop that is known.
 * - A server on a Unix socket knows no address of its peer: there is no {@link Client}.
 *
 * **Gotchas**
 *
 * Name the networks of the proxies and no more. Whoever calls from a trusted address directly can claim to be anybody. The
 * proxy must append to the header or replace it: one that passes on what it got makes it worthless.
 *
 * **Example** (Behind a load balancer)
 *
 * ```ts
 * import { ClientAddress } from "effect-resilience"
 *
 * const resolve = ClientAddress.make({ trustedProxies: ["10.0.0.0/8"] })
 *
 * // The first entry is what the client made up, the second what the load balancer saw.
 * resolve("10.0.0.1", { "x-forwarded-for": "6.6.6.6, 198.51.100.7" })?.key // => "198.51.100.7"
 *
 * // Not from the load balancer: what it says is not read.
 * resolve("203.0.113.9", { "x-forwarded-for": "6.6.6.6" })?.key // => "203.0.113.9"
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { forwarded, xForwardedFor } from "../internal/http/forwarded.ts"
import { layerFromConfig } from "../internal/layerFromConfig.ts"
import { numberBetween, oneOf, positiveInteger } from "../internal/options.ts"

/**
 * Who sent a request.
 *
 * - `address`: never an IPv4 address mapped into IPv6.
 * - `network`: what counts as one client: an IPv4 address alone, an IPv6 address with its /64.
 * - `key`: the same as text: `203.0.113.7`, `2001:db8:1:2::/64`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  readonly address: NetAddress.IpAddress
  readonly network: IpNetwork.IpNetwork
  readonly key: string
}

/**
 * Options of {@link make}, {@link middleware} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Networks (`10.0.0.0/8`) and addresses (`127.0.0.1`) of the proxies in front of the server. None: no header is read. */
  readonly trustedProxies: ReadonlyArray<string>
  /**
   * Which header the proxies write. Default `"x-forwarded-for"`. Only this one is read: the other one may come from the client.
   * `"forwarded"` is that of RFC 7239.
   */
  readonly header?: "x-forwarded-for" | "forwarded" | undefined
  /** How many leading bits of an IPv6 address make a client, 1 to 128. Default 64. */
  readonly ipv6Prefix?: number | undefined
}

/**
 * The client of the request that is being served; `undefined` outside of one, and on a Unix socket.
 *
 * @category services
 * @since 0.1.0
 */
export const ClientAddress: Context.Reference<Client | undefined> = Context.Reference<Client | undefined>(
  "effect-resilience/http/ClientAddress",
  { defaultValue: () => undefined }
)

/**
 * Tells the client from the address of the peer and the headers of the request, lower-case names. `undefined` when the
 * peer's address is unknown.
 *
 * Throws a `RangeError` for an option out of its range, or a trusted proxy that is neither a network nor an address.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): (
  peer: string | undefined,
  headers: Readonly<Record<string, string | undefined>>
) => Client | undefined => {
  const networks = options.trustedProxies.map(network)
  const header = oneOf("header", options.header ?? "x-forwarded-for", ["x-forwarded-for", "forwarded"])
  const ipv6Prefix = prefixOf(options)
  const parse = header === "forwarded" ? forwarded : xForwardedFor
  const isTrusted = (address: NetAddress.IpAddress) => networks.some((each) => IpNetwork.contains(each, address))

  return (peer, headers) => {
    let client = addressOf(peer)
    if (client === undefined) return undefined
    const hops = parse(headers[header] ?? "")
    for (let index = hops.length - 1; index >= 0 && isTrusted(client); index--) {
      const hop = addressOf(hops[index])
      if (hop === undefined) break
      client = hop
    }
    return clientOf(client, ipv6Prefix)
  }
}

/**
 * The client that an address stands for; `undefined` when it is none. A port and the brackets around an IPv6 address are
 * left out, and so is its zone.
 *
 * **Example** (One client)
 *
 * ```ts
 * import { ClientAddress } from "effect-resilience"
 *
 * ClientAddress.fromString("2001:db8:1:2:3:4:5:6")?.key // => "2001:db8:1:2::/64"
 * ClientAddress.fromString("[2001:db8:1:2:ffff::1]:443")?.key // => "2001:db8:1:2::/64"
 * ClientAddress.fromString("::ffff:203.0.113.7")?.key // => "203.0.113.7"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromString = (
  address: string,
  options?: { readonly ipv6Prefix?: number | undefined }
): Client | undefined => {
  const ipv6Prefix = prefixOf(options)
  const found = addressOf(address)
  return found === undefined ? undefined : clientOf(found, ipv6Prefix)
}

/**
 * Serves a request with its {@link ClientAddress} known, and as the `remoteAddress` of its `HttpServerRequest`, where the
 * tracer and others look for it.
 *
 * Throws a `RangeError` as {@link make} does.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options): <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> => {
  const resolve = make(options)
  return (app) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const client = resolve(Option.getOrUndefined(request.peerAddress), request.headers)
      if (client === undefined) return app
      const seen = request.modify({
        remoteAddress: Option.some(NetAddress.formatIp(client.address)),
        peerAddress: request.peerAddress
      })
      return app.pipe(
        Effect.provideService(ClientAddress, client),
        Effect.provideService(HttpServerRequest.HttpServerRequest, seen)
      )
    })
}

/**
 * {@link middleware} for every route of a router.
 *
 * Throws a `RangeError` as {@link make} does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.middleware(middleware(options), { global: true })

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<never, Config.ConfigError, HttpRouter.HttpRouter> => layerFromConfig(options, layer)

const prefixOf = (options: { readonly ipv6Prefix?: number | undefined } | undefined): number =>
  numberBetween("ipv6Prefix", positiveInteger("ipv6Prefix", options?.ipv6Prefix ?? 64), 1, 128)

const network = (text: string, index: number): IpNetwork.IpNetwork => {
  const parsed = text.includes("/")
    ? IpNetwork.fromString(text.trim())
    : Result.flatMap(NetAddress.ipFromString(text.trim()), (address) => {
      const canonical = NetAddress.toCanonical(address)
      return IpNetwork.make(canonical, NetAddress.width(canonical))
    })
  if (Result.isSuccess(parsed)) return parsed.success
  throw new RangeError(`trustedProxies[${index}] must be a network or an address, got ${JSON.stringify(text)}`)
}

/** An address as peers and headers write it, with or without a port. */
const addressOf = (text: string | undefined): NetAddress.IpAddress | undefined => {
  if (text === undefined || text.length > 100) return undefined
  const plain = text.replace(/%[^\]]*/, "")
  const ip = NetAddress.ipFromString(plain.startsWith("[") && plain.endsWith("]") ? plain.slice(1, -1) : plain)
  if (Result.isSuccess(ip)) return NetAddress.toCanonical(ip.success)
  const inet = NetAddress.inetAddressFromString(plain)
  return Result.isSuccess(inet) ? NetAddress.toCanonical(inet.success.address) : undefined
}

const clientOf = (address: NetAddress.IpAddress, ipv6Prefix: number): Client => {
  const prefix = NetAddress.isIpv4Address(address) ? 32 : ipv6Prefix
  const network = IpNetwork.fromAddressUnsafe(address, prefix)
  return {
    address,
    network,
    key: prefix === NetAddress.width(address) ? NetAddress.formatIp(address) : IpNetwork.format(network)
  }
}
