/**
 * Structured fields (RFC 9651), as much as the headers of limits need: lists and dictionaries of items with parameters.
 *
 * As the RFC asks, a field with any mistake in it is no field at all: the parsers give `undefined`, they never throw.
 */

/** A value: number, string, boolean, or the bytes of a byte sequence in its base64 form. */
export type Bare =
  | { readonly _tag: "Number"; readonly value: number }
  | { readonly _tag: "String"; readonly value: string }
  | { readonly _tag: "Token"; readonly value: string }
  | { readonly _tag: "Boolean"; readonly value: boolean }
  | { readonly _tag: "Bytes"; readonly value: string }

export interface Item {
  readonly value: Bare
  readonly parameters: ReadonlyMap<string, Bare>
}

/** Longer fields are not read. No honest server tells so many limits. */
const maxLength = 8192

/** The members of a list. */
export const parseList = (text: string): ReadonlyArray<Item> | undefined => parseMembers(text, (cursor) => item(cursor))

/** The members of a dictionary, by key; of a key that comes twice the last one. */
export const parseDictionary = (text: string): ReadonlyMap<string, Item> | undefined => {
  const members = parseMembers(text, (cursor): readonly [string, Item] | undefined => {
    const name = cursor.take(key)
    if (name === undefined) return undefined
    if (cursor.take(equals) !== undefined) {
      const value = item(cursor)
      return value === undefined ? undefined : [name, value]
    }
    const parameters = parametersOf(cursor)
    return parameters === undefined ? undefined : [name, { value: { _tag: "Boolean", value: true }, parameters }]
  })
  return members === undefined ? undefined : new Map(members)
}

/** A string in quotes. It has only printable ASCII characters in it; others come out as underscores. */
export const formatString = (text: string): string =>
  `"${text.replace(/[^\x20-\x7e]/g, "_").replace(/["\\]/g, "\\$&")}"`

class Cursor {
  readonly text: string
  position = 0

  constructor(text: string) {
    this.text = text
  }

  get atEnd(): boolean {
    return this.position === this.text.length
  }

  /** What the pattern matches here, or `undefined`. The pattern must be sticky. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.position += found.length
    return found
  }
}

const key = /[a-z*][a-z0-9_.*-]*/y
const equals = /=/y
const spaces = / */y
const comma = /[ \t]*,[ \t]*/y
const semicolon = /; */y
const decimal = /-?\d{1,12}\.\d{1,3}(?![\d.])/y
const integer = /-?\d{1,15}(?![\d.])/y
const quoted = /"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y
const token = /[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*/y
const bytes = /:[A-Za-z0-9+/=]*:/y
const boolean = /\?[01]/y

const parseMembers = <A>(text: string, member: (cursor: Cursor) => A | undefined): ReadonlyArray<A> | undefined => {
  if (text.length > maxLength) return undefined
  const cursor = new Cursor(text.replace(/ +$/, ""))
  cursor.take(spaces)
  const members: Array<A> = []
  while (!cursor.atEnd) {
    const found = member(cursor)
    if (found === undefined) return undefined
    members.push(found)
    if (cursor.atEnd) return members
    // What follows a member is a comma and another one.
    if (cursor.take(comma) === undefined || cursor.atEnd) return undefined
  }
  return members
}

const item = (cursor: Cursor): Item | undefined => {
  const value = bare(cursor)
  if (value === undefined) return undefined
  const parameters = parametersOf(cursor)
  return parameters === undefined ? undefined : { value, parameters }
}

const parametersOf = (cursor: Cursor): ReadonlyMap<string, Bare> | undefined => {
  const parameters = new Map<string, Bare>()
  while (cursor.take(semicolon) !== undefined) {
    const name = cursor.take(key)
    if (name === undefined) return undefined
    const value: Bare | undefined = cursor.take(equals) === undefined ? { _tag: "Boolean", value: true } : bare(cursor)
    if (value === undefined) return undefined
    parameters.set(name, value)
  }
  return parameters
}

const bare = (cursor: Cursor): Bare | undefined => {
  const number = cursor.take(decimal) ?? cursor.take(integer)
  if (number !== undefined) return { _tag: "Number", value: Number(number) }
  const string = cursor.take(quoted)
  if (string !== undefined) return { _tag: "String", value: string.slice(1, -1).replace(/\\(["\\])/g, "$1") }
  const word = cursor.take(token)
  if (word !== undefined) return { _tag: "Token", value: word }
  const base64 = cursor.take(bytes)
  if (base64 !== undefined) return { _tag: "Bytes", value: base64.slice(1, -1) }
  const flag = cursor.take(boolean)
  return flag === undefined ? undefined : { _tag: "Boolean", value: flag === "?1" }
}
