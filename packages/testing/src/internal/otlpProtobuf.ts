/** Reads OTLP's trace requests out of Protocol Buffers: as much of them as a test looks at. */

/** A message's fields: each number with all of its values, as they stand on the wire. */
type Fields = ReadonlyMap<number, ReadonlyArray<Uint8Array | bigint>>

const fieldsOf = (message: Uint8Array): Fields => {
  const fields = new Map<number, Array<Uint8Array | bigint>>()
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = view.getUint8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return BigInt.asUintN(64, value)
  }
  const valueOf = (wireType: number): Uint8Array | bigint => {
    switch (wireType) {
      case 0:
        return varint()
      case 1:
        return view.getBigUint64((at += 8) - 8, true)
      case 2: {
        const length = Number(varint())
        if (at + length > message.length) throw new RangeError(`A field ends behind its message`)
        return message.subarray(at, at += length)
      }
      case 5:
        return BigInt(view.getUint32((at += 4) - 4, true))
      default:
        throw new RangeError(`There is no wire type ${wireType}`)
    }
  }
  while (at < message.length) {
    const tag = Number(varint())
    const number = tag >>> 3
    const values = fields.get(number) ?? []
    values.push(valueOf(tag & 7))
    fields.set(number, values)
  }
  return fields
}

const messages = (fields: Fields, number: number): ReadonlyArray<Fields> =>
  (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array))

// What a field holds is what OTLP's definition says; a sender that does otherwise makes the cast's user throw.
const bytes = (fields: Fields, number: number): Uint8Array | undefined => fields.get(number)?.at(-1) as Uint8Array
const number = (fields: Fields, at: number): bigint => (fields.get(at)?.at(-1) as bigint | undefined) ?? 0n
const text = (fields: Fields, at: number): string => new TextDecoder().decode(bytes(fields, at) ?? new Uint8Array())
const hex = (fields: Fields, at: number): string => Buffer.from(bytes(fields, at) ?? new Uint8Array()).toString("hex")

const valueOf = (value: Fields): unknown => {
  for (const [field, read] of values) {
    if (value.has(field)) return read(value)
  }
  return undefined
}

const values: ReadonlyArray<readonly [field: number, read: (value: Fields) => unknown]> = [
  [1, (value) => text(value, 1)],
  [2, (value) => number(value, 2) === 1n],
  [3, (value) => Number(BigInt.asIntN(64, number(value, 3)))],
  [4, (value) => new Float64Array(BigUint64Array.of(number(value, 4)).buffer)[0]],
  [5, (value) => messages(value, 5).flatMap((list) => messages(list, 1).map(valueOf))]
]

const attributesOf = (fields: Fields, at: number): Record<string, unknown> =>
  Object.fromEntries(messages(fields, at).map((pair) => [text(pair, 1), messages(pair, 2).map(valueOf)[0]]))

/** Spans of an `ExportTraceServiceRequest`. */
export const decodeSpans = (request: Uint8Array) =>
  messages(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1).map((resource) => attributesOf(resource, 1))
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span) => ({
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentSpanId: hex(span, 4) || undefined,
        name: text(span, 5),
        kind: Number(number(span, 6)),
        startTimeUnixNano: String(number(span, 7)),
        endTimeUnixNano: String(number(span, 8)),
        attributes: attributesOf(span, 9),
        events: messages(span, 11).map((event) => ({ name: text(event, 2), attributes: attributesOf(event, 3) })),
        status: messages(span, 15).map((status) => ({ message: text(status, 2), code: Number(number(status, 3)) }))[0]
          ?? { message: "", code: 0 },
        resource: resource ?? {}
      }))
    )
  })
