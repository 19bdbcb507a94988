/** The operator's key: the one of the environment, or one made for this run. */
import type * as ApiKey from "effect-resilience/http/ApiKey"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Redacted from "effect/Redacted"

/** The key, and whether a person has yet to be told. */
export interface AdminKey {
  readonly key: Redacted.Redacted
  readonly madeAdminKey: string | undefined
}

/** The key that is given, or a new one of 144 random bits. */
export const orMade = (given: Redacted.Redacted | undefined): AdminKey => {
  if (given !== undefined) return { key: given, madeAdminKey: undefined }
  const made = Base64Url.encode(SecureRandom.randomBytesUnsafe(18))
  return { key: Redacted.make(made), madeAdminKey: made }
}

/** The operator may call everything that others may, without limits. No key of the environment can have this name. */
export const asCaller = ({ key }: AdminKey): ApiKey.Key => ({ name: "(operator)", key, tier: "unlimited" })
