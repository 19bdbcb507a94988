/** Reading JSON of a shape that is read often. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/**
 * What a text is, if it is JSON of this shape. As with `Schema.fromJsonString`, but the shape is compiled, and a text does not need
 * a fiber: a stream has one for each word.
 */
export const decoding = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S
): (text: string) => Option.Option<S["Type"]> => {
  SchemaJITCompiler.enable(schema.ast)
  const decode = Schema.decodeUnknownOption(schema)
  return (text) => Option.flatMap(parse(text), (data) => decode(data))
}
