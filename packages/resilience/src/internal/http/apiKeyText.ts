/** Keys as one line of text: `name:key:tier:scope+scope`, several with commas between them. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Key, ParseOptions } from "../../http/ApiKey.ts"

const shape = "must be name:key, name:key:tier or name:key:tier:scope+scope"

/**
 * All keys, or a line about everything that is wrong. A part of an entry that stands in the wrong place may be its key, so
 * entries are told by their number, and nothing of them is repeated.
 */
export const parse = (
  text: string,
  options: ParseOptions
): Result.Result<ReadonlyArray<Key>, ReadonlyArray<string>> => {
  const complaints: Array<string> = []
  const keys: Array<Key> = []
  const byKey = new Map<string, number>()
  const byName = new Map<string, { readonly number: number; readonly standing: string }>()
  const entries = text.split(",").map((entry) => entry.trim())
  entries.forEach((entry, index) => {
    if (entry === "") return
    const number = index + 1
    const complain = (what: string) => void complaints.push(`entry ${number} ${what}`)
    const parts = entry.split(":")
    if (parts.length < 2 || parts.length > 4) return complain(shape)
    const [name = "", key = "", tier = options.defaultTier ?? "standard", scopes = ""] = parts
    const before = complaints.length
    if (!isName(name)) complain("must have a name of 1 to 64 letters, digits, dots, dashes and underscores")
    if (name === "anonymous") complain("must have another name: that one means nobody")
    if (!isKey(key)) {
      complain("must have a key of 1 to 256 visible ASCII characters, or sha256= and 64 hexadecimal digits")
    }
    if (options.tiers !== undefined && !options.tiers.includes(tier)) {
      complain(`must have one of the tiers ${options.tiers.join(", ")}`)
    }
    if (!isName(tier)) complain("must have a tier of 1 to 64 letters, digits, dots, dashes and underscores")
    const names = scopes === "" ? [] : scopes.split("+")
    if (!names.every((scope) => /^[\x21-\x7e]{1,64}$/.test(scope))) complain("must have scopes with + between them")
    const sameKey = byKey.get(key)
    if (sameKey !== undefined) complain(`must not have the key of entry ${sameKey}`)
    const sameName = byName.get(name)
    const standing = `${tier}:${scopes}`
    if (sameName !== undefined && sameName.standing !== standing) {
      complain(`must have the tier and the scopes of entry ${sameName.number}, whose name it has`)
    }
    if (complaints.length > before) return
    byKey.set(key, number)
    byName.set(name, { number, standing })
    keys.push({ name, tier, scopes: names, key: Redacted.make(key) })
  })
  return complaints.length > 0 ? Result.fail(complaints) : Result.succeed(keys)
}

const isName = (text: string): boolean => /^[A-Za-z0-9._-]{1,64}$/.test(text)

const isKey = (text: string): boolean =>
  text.startsWith(hashed) ? /^[0-9a-f]{64}$/i.test(text.slice(hashed.length)) : /^[\x21-\x7e]{1,256}$/.test(text)

/** What a key begins with that is written as its digest. */
export const hashed = "sha256="
