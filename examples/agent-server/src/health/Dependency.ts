/** Something that the server needs and does not run itself: what it is called, where it is, and how to ask whether it is well. */
import type * as Effect from "effect/Effect"

/** A row of the table of what is watched. */
export interface Dependency<out R = never> {
  readonly name: string
  /** For people, without any password. */
  readonly url: string
  /** Succeeds when it is well. Asked again and again, so it must cost nothing. */
  readonly probe: Effect.Effect<void, unknown, R>
  /** Whether the server is of no use without it. What all instances share is not critical: it would take out all of them. */
  readonly critical?: boolean | undefined
}

/** A URL as people may see it: no user, no password, no query. */
export const shown = (url: string): string => {
  const parsed = new URL(url)
  parsed.username = ""
  parsed.password = ""
  parsed.search = ""
  parsed.hash = ""
  return parsed.href
}
