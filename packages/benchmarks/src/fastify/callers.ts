/** Who calls: the owner of an API key, or somebody at an address. Keys are kept as digests and compared in constant time. */
import type { FastifyRequest } from "fastify"
import { hash, timingSafeEqual } from "node:crypto"
import { Problem } from "./problems.ts"

/** Somebody who calls. */
export interface Caller {
  readonly name: string
  readonly tier: string
}

declare module "fastify" {
  interface FastifyRequest {
    /** Who calls; `undefined` without a key. */
    caller: Caller | undefined
  }
}

const digestOf = (key: string): Buffer => hash("sha256", key, "buffer")

/** Finds out who calls. Throws a problem for a key that nobody has. */
export const identify = (apiKeys: string): (request: FastifyRequest) => Caller | undefined => {
  const known = apiKeys.split(",").filter((entry) => entry !== "").map((entry) => {
    const [name = "", key = "", tier = "standard"] = entry.split(":")
    return { caller: { name, tier } satisfies Caller, digest: digestOf(key) }
  })
  return ({ headers }) => {
    const key = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1] ?? headers["x-api-key"]
    if (typeof key !== "string" || key === "") return undefined
    const digest = digestOf(key)
    let found: Caller | undefined
    for (const each of known) if (timingSafeEqual(each.digest, digest)) found = each.caller
    if (found === undefined) throw new Problem("unauthorized", "Nobody has this key.")
    return found
  }
}
