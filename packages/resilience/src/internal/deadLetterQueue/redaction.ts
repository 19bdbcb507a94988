/** Taking secrets out of what is kept, before it is kept. */

/**
 * What to take out of a letter before it is stored. Headers and every text of a failure always lose the secrets that
 * the defaults know; the payload is touched only as told here, since a redrive needs it whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Redaction<A> {
  /** Properties, at any depth of the payload and of the headers, whose values are replaced. Case and `-_` do not count. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** Parts of texts that are replaced, in the payload, the headers, the failure and its causes. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
  /** Anything else that is to be changed in the payload. It must still fit the schema. */
  readonly payload?: ((payload: A) => A) | undefined
}

const replacement = "[redacted]"

/** Header names, and `name: value` or `"name":"value"` in texts, that are secrets wherever they stand. */
const secretNames = [
  "authorization",
  "proxyauthorization",
  "cookie",
  "setcookie",
  "apikey",
  "xapikey",
  "xauthtoken",
  "password",
  "passwd",
  "secret",
  "clientsecret",
  "accesstoken",
  "refreshtoken",
  "idtoken",
  "privatekey"
]

const secretShapes: ReadonlyArray<RegExp> = [
  /\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi,
  /\bsk-[A-Za-z0-9_-]{8,}/g,
  /\bgh[opsu]_[A-Za-z0-9]{20,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+@/gi
]

const named =
  /(["']?\b(?:authorization|proxy-authorization|cookie|set-cookie|x?-?api[-_]?key|password|passwd|(?:client[-_]?)?secret|(?:access|refresh|id)[-_]?token|private[-_]?key)["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&}\])]+)/gi

const plain = (name: string): string => name.toLowerCase().replace(/[-_\s]/g, "")

export interface Redactor {
  readonly text: (text: string) => string
  readonly headers: (headers: Readonly<Record<string, string>>) => Readonly<Record<string, string>>
  readonly payload: (json: unknown) => unknown
}

export const make = (options: Pick<Redaction<unknown>, "keys" | "patterns"> | undefined): Redactor => {
  const told = new Set((options?.keys ?? []).map(plain))
  const anywhere = new Set([...secretNames, ...told])
  const patterns = (options?.patterns ?? []).map(global)
  const toldText = (text: string): string => patterns.reduce((at, pattern) => at.replace(pattern, replacement), text)
  const text = (value: string): string =>
    secretShapes.reduce(
      (at, shape) =>
        at.replace(shape, (_, kept: unknown) => typeof kept === "string" ? `${kept}${replacement}@` : replacement),
      toldText(value)
    ).replace(named, (_, kept: string) => `${kept}${replacement}`)
  const payload = (json: unknown): unknown => {
    if (typeof json === "string") return toldText(json)
    if (Array.isArray(json)) return json.map(payload)
    if (typeof json !== "object" || json === null) return json
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [toldText(key), told.has(plain(key)) ? replacement : payload(value)])
    )
  }
  return {
    text,
    payload,
    headers: (headers) =>
      Object.fromEntries(
        Object.entries(headers).map((
          [name, value]
        ) => [text(name), anywhere.has(plain(name)) ? replacement : text(value)])
      )
  }
}

/** `replace` with a pattern that is not global would leave the second one standing. */
const global = (pattern: RegExp): RegExp => new RegExp(pattern.source, [...new Set(`${pattern.flags}g`)].join(""))
