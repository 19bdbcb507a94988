import { assert, describe, it } from "@effect/vitest"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"

const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const segment = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
const Octets = Schema.Tuple([byte, byte, byte, byte])
const Prefix64 = Schema.Tuple([segment, segment, segment, segment])

const proxies = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"]
const behind = ClientAddress.make({ trustedProxies: proxies })
const keyOf = (peer: string | undefined, list?: string) => behind(peer, { "x-forwarded-for": list })?.key

describe("ClientAddress: what counts as one client", () => {
  it.prop("RL-14 all addresses of a /64 are one client, those of another are another", [
    Prefix64,
    Prefix64,
    Prefix64,
    Prefix64
  ], ([left, right, host, otherHost]) => {
    // 2001::/16 has no mapped addresses in it.
    const address = (prefix: typeof left, host: typeof left) =>
      [0x2001, ...prefix.slice(1), ...host].map((part) => part.toString(16)).join(":")
    const key = (text: string) => ClientAddress.fromString(text)?.key
    assert.strictEqual(key(address(left, host)), key(address(left, otherHost)))
    const same = left.slice(1).every((part, index) => part === right[index + 1])
    assert.strictEqual(key(address(left, host)) === key(address(right, host)), same)
  })

  it.prop("RL-14 an IPv4 address is the same client however it is written", [Octets], ([octets]) => {
    const plain = octets.join(".")
    const hex = octets.map((part) => part.toString(16).padStart(2, "0")).join("")
    for (
      const text of [
        `::ffff:${plain}`,
        `::FFFF:${plain}`,
        `::ffff:${hex.slice(0, 4)}:${hex.slice(4)}`,
        `0:0:0:0:0:ffff:${plain}`,
        `[::ffff:${plain}]`,
        `[::ffff:${plain}]:8080`,
        `${plain}:80`
      ]
    ) {
      assert.strictEqual(ClientAddress.fromString(text)?.key, plain, text)
    }
  })

  it("has an address and the network that it counts as", () => {
    const client = ClientAddress.fromString("2001:db8:1:2:3:4:5:6")!
    assert.strictEqual(NetAddress.formatIp(client.address), "2001:db8:1:2:3:4:5:6")
    assert.strictEqual(IpNetwork.format(client.network), "2001:db8:1:2::/64")
    assert.strictEqual(client.key, "2001:db8:1:2::/64")
  })

  it("can be told to take more or less of an IPv6 address", () => {
    const key = (ipv6Prefix: number) => ClientAddress.fromString("2001:db8:1:2:3:4:5:6", { ipv6Prefix })?.key
    assert.strictEqual(key(48), "2001:db8:1::/48")
    assert.strictEqual(key(128), "2001:db8:1:2:3:4:5:6")
  })

  it("leaves out the zone of an address", () => {
    assert.strictEqual(ClientAddress.fromString("fe80::1%eth0")?.key, "fe80::/64")
    assert.strictEqual(ClientAddress.fromString("[fe80::1%eth0]:80")?.key, "fe80::/64")
  })

  for (const text of ["", "unknown", "_hidden", "example.com", "1.2.3", "1.2.3.4.5", "::g", "[::1", "1.2.3.4:99999"]) {
    it(`finds no address in ${JSON.stringify(text)}`, () => {
      assert.isUndefined(ClientAddress.fromString(text))
    })
  }
})

describe("ClientAddress: whom it believes", () => {
  it("RL-14 reads no header of a peer that is not trusted", () => {
    assert.strictEqual(keyOf("203.0.113.9", "6.6.6.6"), "203.0.113.9")
    assert.strictEqual(keyOf("203.0.113.9", "10.0.0.1"), "203.0.113.9")
    assert.strictEqual(
      ClientAddress.make({ trustedProxies: [] })("10.0.0.1", { "x-forwarded-for": "6.6.6.6" })?.key,
      "10.0.0.1"
    )
  })

  it.prop("RL-14 nothing that a client puts into the header changes who it is", [
    Schema.String,
    Octets,
    Schema.Literals(["10.1.2.3", "127.0.0.1", "::ffff:10.9.8.7", "fd00::1"])
  ], ([forged, [first, ...rest], peer]) => {
    const client = [first === 10 || first === 127 ? 203 : first, ...rest].join(".")
    // The proxy puts after a comma what it saw.
    assert.strictEqual(keyOf(peer, `${forged}, ${client}`), client)
    assert.strictEqual(keyOf(peer, `${forged}, ${client}, 10.0.0.7, 10.0.0.8`), client)
  })

  it("walks past trusted proxies, however their addresses are written", () => {
    assert.strictEqual(keyOf("::ffff:10.0.0.1", "198.51.100.7, ::ffff:10.0.0.2, [fd00::3]:80"), "198.51.100.7")
    assert.strictEqual(keyOf("127.0.0.1", "2001:db8::1"), "2001:db8::/64")
  })

  it("takes the farthest when all are trusted", () => {
    assert.strictEqual(keyOf("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3")
    assert.strictEqual(keyOf("10.0.0.1"), "10.0.0.1")
  })

  it("stops at what is no address, with the last hop that is known", () => {
    assert.strictEqual(keyOf("10.0.0.1", "6.6.6.6, unknown"), "10.0.0.1")
    assert.strictEqual(keyOf("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2"), "10.0.0.2")
    assert.strictEqual(keyOf("10.0.0.1", "6.6.6.6,"), "10.0.0.1")
    assert.strictEqual(keyOf("10.0.0.1", ","), "10.0.0.1")
  })

  it("knows no client where the peer has no address", () => {
    assert.isUndefined(behind(undefined, { "x-forwarded-for": "6.6.6.6" }))
  })

  it("reads the one header that it is told to read", () => {
    const headers = { forwarded: "for=198.51.100.7", "x-forwarded-for": "6.6.6.6" }
    const other = ClientAddress.make({ trustedProxies: proxies, header: "forwarded" })
    assert.strictEqual(behind("10.0.0.1", headers)?.key, "6.6.6.6")
    assert.strictEqual(other("10.0.0.1", headers)?.key, "198.51.100.7")
  })
})

describe("ClientAddress: Forwarded", () => {
  const resolve = ClientAddress.make({ trustedProxies: proxies, header: "forwarded" })
  const keyOf = (forwarded: string) => resolve("10.0.0.1", { forwarded })?.key

  for (
    const [text, key] of [
      ["for=192.0.2.43", "192.0.2.43"],
      ["For=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"],
      ["for=6.6.6.6, for=198.51.100.17", "198.51.100.17"],
      ["for=198.51.100.17 , for=10.0.0.2;by=10.0.0.1", "198.51.100.17"],
      [`for="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::/64"],
      [`for="198.51.100.17:47011"`, "198.51.100.17"],
      [`proto=https;host="a,b;c\\"";for=198.51.100.17`, "198.51.100.17"]
    ] as const
  ) {
    it(`RL-14 reads ${text}`, () => {
      assert.strictEqual(keyOf(text), key)
    })
  }

  for (
    const text of [
      "",
      "for",
      "for=",
      `for="`,
      "for=unknown",
      "for=_secret",
      "by=10.0.0.2",
      "for=1.2.3.4 5",
      "for=1.2.3.4 x=y"
    ]
  ) {
    it(`believes nothing of ${JSON.stringify(text)}`, () => {
      assert.strictEqual(keyOf(text), "10.0.0.1")
    })
  }

  it.prop("RL-14 whatever a client puts in front, it is itself or the proxy, never somebody else", [
    Schema.Union([Schema.String, Schema.String.check(Schema.isPattern(/^[a-z0-9.;,="\\ ]{0,30}$/))])
  ], ([forged]) => {
    assert.include(["198.51.100.7", "10.0.0.1"], keyOf(`${forged}, for=198.51.100.7`))
    assert.include(["2001:db8::/64", "10.0.0.1"], keyOf(`${forged}, for="[2001:db8::1]"`))
  })
})

describe("ClientAddress: options", () => {
  for (
    const [options, message] of [
      [
        { trustedProxies: ["10.0.0.0/8", "nonsense"] },
        "trustedProxies[1] must be a network or an address, got \"nonsense\""
      ],
      [{ trustedProxies: ["10.0.0.1/8"] }, "trustedProxies[0] must be a network or an address, got \"10.0.0.1/8\""],
      [{ trustedProxies: [], ipv6Prefix: 129 }, "ipv6Prefix must be a number from 1 to 128, got 129"],
      [{ trustedProxies: [], ipv6Prefix: 0 }, "ipv6Prefix must be a positive integer, got 0"]
    ] as const
  ) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(() => ClientAddress.make(options), RangeError, message)
    })
  }

  it.effect("come from Config, and a bad one is a ConfigError", () =>
    Effect.gen(function*() {
      const layer = ClientAddress.layerConfig({
        trustedProxies: Config.map(Config.String("TRUSTED_PROXIES"), (text) => text.split(","))
      })
      const build = (value: string) =>
        Effect.exit(Effect.scoped(Layer.build(Layer.provide(layer, HttpRouter.layer)))).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { TRUSTED_PROXIES: value } })))
        )
      assert.isTrue(Exit.isSuccess(yield* build("10.0.0.0/8,::1")))
      const failed = yield* build("10.0.0.0/8,nonsense")
      assert.isTrue(Exit.isFailure(failed))
      if (Exit.isFailure(failed)) assert.include(Cause.pretty(failed.cause), "trustedProxies[1]")
    }))
})
