/** A letter as one line of JSON. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Meta } from "./record.ts"
import type { Row } from "./store.ts"

const parse = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Unknown))

/** `meta` and `body` are objects to be read by people; where they are no JSON, the texts they are. */
const decodeLine = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({
  v: Schema.Literal(1),
  id: Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,200}$/)),
  queue: Schema.String,
  meta: Schema.Unknown,
  body: Schema.Unknown
})))
const decodeMeta = Schema.decodeUnknownResult(Schema.toCodecJson(Meta))

const readable = (text: string): unknown => Result.getOrElse(parse(text), () => text)
const asText = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

/** With its end. */
export const toLine = ({ body, id, meta, queue }: Row): string =>
  `${JSON.stringify({ v: 1, queue, id, meta: readable(meta), body: readable(body) })}\n`

/** The texts of a row, or why there are none. */
export const fromLine = (
  line: string
): Result.Result<
  { readonly id: string; readonly queue: string; readonly meta: string; readonly body: string },
  string
> =>
  Result.match(decodeLine(line), {
    onFailure: () => Result.fail("it is no line of an export"),
    onSuccess: ({ body, id, meta, queue }) =>
      Result.isFailure(decodeMeta(meta))
        ? Result.fail("its record is corrupt")
        : Result.succeed({ id, queue, meta: asText(meta), body: asText(body) })
  })
