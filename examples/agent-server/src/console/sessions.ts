/** The sessions that this browser has had: which there are is known here only, what was said in them the server keeps. */
import { knownSessions } from "./storage.ts"

/** A session, by what it began with. */
export interface Known {
  readonly id: string
  readonly agent: string
  readonly title: string
}

/** The oldest are forgotten here; the server has them all the same. */
const most = 50

const isKnown = (value: unknown): value is Known =>
  typeof value === "object" && value !== null && "id" in value && typeof value.id === "string" &&
  "agent" in value && typeof value.agent === "string" && "title" in value && typeof value.title === "string"

/** The list in some text. Whatever else a browser has kept there is none. */
export const parse = (text: string | undefined): ReadonlyArray<Known> => {
  try {
    const value: unknown = JSON.parse(text ?? "[]")
    return Array.isArray(value) ? value.filter(isKnown).slice(0, most) : []
  } catch {
    return []
  }
}

/** The list with this session first. It keeps the title that it began with. */
export const withFirst = (list: ReadonlyArray<Known>, session: Known): ReadonlyArray<Known> =>
  [
    list.find(({ id }) => id === session.id) ?? session,
    ...list.filter(({ id }) => id !== session.id)
  ].slice(0, most)

/** The sessions, the latest first. */
export const all = (): ReadonlyArray<Known> => parse(knownSessions.get())

const store = (list: ReadonlyArray<Known>) => knownSessions.set(JSON.stringify(list))

/** Something was said in this session. */
export const remember = (session: Known): void => store(withFirst(all(), session))

/** This session is no more. */
export const forget = (id: string): void => store(all().filter((session) => session.id !== id))
