/** What must not be read in a log: values of certain keys, and texts that look like secrets wherever they stand. */

export interface RedactOptions {
  /** More keys whose values are secret. Letter case, `-`, `_`, `.` and blanks do not count. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** More shapes of secrets. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
  /** Show what was said to and by a model. Default false. */
  readonly prompts?: boolean | undefined
}

export interface Redactor {
  /** What stands in place of the value of this key; `undefined` when it may be read. */
  readonly key: (key: string) => string | undefined
  readonly text: (text: string) => string
  /** Whether the value of this key names somebody's conversation: it is written as a hash, which still tells two apart. */
  readonly isHashed: (key: string) => boolean
}

const mark = "[redacted]"

/** Secret, and so is every key that ends with one of these: `clientSecret`, `x-api-key`, `refresh_token`. */
const secrets = [
  "password",
  "passwd",
  "pwd",
  "passphrase",
  "secret",
  "secretkey",
  "token",
  "apikey",
  "accesskey",
  "accesskeyid",
  "secretaccesskey",
  "privatekey",
  "signingkey",
  "encryptionkey",
  "authorization",
  "credential",
  "credentials",
  "cookie",
  "sessionkey",
  "bearer",
  "otp",
  "pin",
  "ssn",
  "cvv",
  "creditcard",
  "cardnumber"
]

/** Short words end many harmless keys, so these are secret only by themselves. */
const exactly = new Set(["otp", "pin", "ssn", "cvv", "pwd", "bearer"])

/** What people said, and what was answered. */
const prompts = new Set([
  "prompt",
  "prompts",
  "systemprompt",
  "userprompt",
  "messages",
  "completion",
  "completions",
  "transcript",
  "conversation"
])

const shapes: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, mark],
  [/\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g, mark],
  [/\b(?:sk|pk|rk)[-_][\w-]{16,}/g, mark],
  [/\bgh[pousr]_\w{20,}/g, mark],
  [/\bgithub_pat_\w{20,}/g, mark],
  [/\bglpat-[\w-]{16,}/g, mark],
  [/\bxox[a-z]-[\w-]{10,}/g, mark],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, mark],
  [/\bAIza[\w-]{30,}/g, mark],
  [/\bnpm_\w{30,}/g, mark],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${mark}`],
  [/(:\/\/)[^\s/:@]*:[^\s/@]+@/g, `$1${mark}@`],
  // The value of a secret key inside of a text: a query string, JSON, a header. What is marked already stays.
  [
    /((?:password|passwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|authorization|cookie|credentials?)["']?\s*[:=]\s*["']?)(?!\s|(?:Bearer|Basic)?\s*\[redacted\]|(?:Bearer|Basic)\b)[^\s"',;&}]+/gi,
    `$1${mark}`
  ]
]

const sessions = new Set(["session", "sessionid"])

const normal = (key: string): string => key.toLowerCase().replaceAll(/[-_.\s]/g, "")

const everywhere = (pattern: RegExp): RegExp =>
  new RegExp(pattern.source, pattern.flags.includes("g") ? pattern.flags : `${pattern.flags}g`)

export const redactor = (options: RedactOptions = {}): Redactor => {
  const own = new Set((options.keys ?? []).map(normal))
  const patterns = [...(options.patterns ?? []).map((pattern) => [everywhere(pattern), mark] as const), ...shapes]
  const decided = new Map<string, string | undefined>()
  const decide = (key: string): string | undefined => {
    const plain = normal(key)
    if (own.has(plain) || secrets.some((word) => exactly.has(word) ? plain === word : plain.endsWith(word))) return mark
    return options.prompts !== true && prompts.has(plain) ? "[prompt]" : undefined
  }
  return {
    key: (key) => {
      if (decided.has(key)) return decided.get(key)
      const verdict = decide(key)
      // Keys are words of a program, but a log may also be given somebody's map.
      if (decided.size < 10_000) decided.set(key, verdict)
      return verdict
    },
    isHashed: (key) => sessions.has(normal(key)),
    text: (text) => {
      let clean = text
      for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement)
      return clean
    }
  }
}
