/** The forms that variables of the environment have, and how one is read. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** How a variable is read, and what is said of a bad one. */
export interface Variable<A> {
  /** What the variable must be, for people: "a port from 0 to 65535". */
  readonly expected: string
  readonly schema: Schema.ConstraintDecoder<A>
  readonly secret?: boolean
}

export const integer = (minimum: number, maximum: number): Variable<number> => ({
  expected: `a whole number from ${minimum} to ${maximum}`,
  schema: Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum }))
})

export const oneOf = <const A extends string>(...values: ReadonlyArray<A>): Variable<A> => ({
  expected: `one of ${values.join(", ")}`,
  schema: Schema.Literals(values)
})

/** In any case, as other programs write them. */
export const logLevel: Variable<LogLevel.LogLevel> = {
  expected: `one of ${LogLevel.values.join(", ").toLowerCase()}`,
  schema: Schema.String.pipe(
    Schema.decode(SchemaTransformation.toLowerCase()),
    Schema.decode(SchemaTransformation.capitalize()),
    Schema.decodeTo(Schema.Literals(LogLevel.values))
  )
}

export const text: Variable<string> = { expected: "some text", schema: Schema.String }

/** A header value: what Node would refuse to send must not get that far. */
export const secret: Variable<Redacted.Redacted> = {
  expected: "visible ASCII characters",
  schema: Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\x21-\x7e]+$/))),
  secret: true
}

/** A URL that may have a password in it, and is never shown. */
export const secretUrl = (...schemes: ReadonlyArray<string>): Variable<Redacted.Redacted> => ({
  expected: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
  schema: Schema.RedactedFromValue(
    Schema.String.check(
      Schema.makeFilter((value) =>
        URL.canParse(value) && schemes.some((scheme) => new URL(value).protocol === `${scheme}:`)
        && new URL(value).hostname !== ""
      )
    )
  ),
  secret: true
})

export const httpUrl: Variable<string> = {
  expected: "a URL that begins with http:// or https://",
  schema: Schema.String.check(Schema.makeFilter((value) => /^https?:\/\//.test(value) && URL.canParse(value))),
  // It may have a password in it.
  secret: true
}

export const seconds = (minimum: number, maximum: number): Variable<number> => ({
  expected: `a number of seconds from ${minimum} to ${maximum}`,
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum, maximum }))
})

/** `1.5` is seconds, as in the other variables; `500 millis` and `2 minutes` say their unit. */
export const duration = (minimum: Duration.Duration, maximum: Duration.Duration): Variable<Duration.Duration> => ({
  expected: `a time from ${Duration.format(minimum)} to ${Duration.format(maximum)}, such as 5 or "500 millis"`,
  schema: Schema.Union([
    Schema.FiniteFromString.pipe(Schema.decodeTo(Schema.Duration, {
      decode: SchemaGetter.transform(Duration.seconds),
      encode: SchemaGetter.transform(Duration.toSeconds)
    })),
    Schema.DurationFromString
  ]).check(Schema.makeFilter((value) => Duration.between(value, { minimum, maximum })))
})

export const share: Variable<number> = {
  expected: "a number from 0 to 1",
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
}

export const positive: Variable<number> = {
  expected: "a number above zero",
  schema: Schema.FiniteFromString.check(Schema.isBetween({ minimum: 1e-6, maximum: 1e12 }))
}

/** Reads a variable. Where it is bad, a line about it goes to `complaints`, and reading goes on. */
export const reader =
  (complaints: Array<string>) =>
  <A, B>(name: string, variable: Variable<A>, fallback: B): Effect.Effect<A | B, Config.ConfigError> =>
    Effect.map(Config.option(Config.String(name)), (found) => {
      const value = Option.getOrElse(found, () => "").trim()
      if (value === "") return fallback
      const decoded = Schema.decodeUnknownOption(variable.schema)(value)
      if (Option.isSome(decoded)) return decoded.value
      complaints.push(
        variable.secret === true
          ? `${name} must be ${variable.expected}; what it is set to is not shown`
          : `${name} must be ${variable.expected}, and is ${JSON.stringify(value.slice(0, 200))}`
      )
      return fallback
    })

/** Reads the variables of the environment. */
export type Reader = ReturnType<typeof reader>
