/** How many spans of a request a collector rejected though it said yes: `ExportTraceServiceResponse.partial_success`. */

/** 0 for whatever is no such answer: it said yes. */
export const rejectedSpans = (contentType: string, body: Uint8Array): number => {
  try {
    const rejected = contentType.includes("json") ? fromJson(body) : fromProtobuf(body)
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0
  } catch {
    return 0
  }
}

/** A 64-bit number is a string in JSON. */
const fromJson = (body: Uint8Array): number => {
  // Whatever else it is, reading it throws or gives no number, and both are an answer without rejections.
  const answer = JSON.parse(new TextDecoder().decode(body)) as {
    readonly partialSuccess?: { readonly rejectedSpans?: unknown }
  }
  return Number(answer.partialSuccess?.rejectedSpans ?? 0)
}

/** Field 1 of the message is the partial success, and field 1 of that the number. */
const fromProtobuf = (body: Uint8Array): number => {
  const partial = fieldOne(body)
  return partial instanceof Uint8Array ? Number(fieldOne(partial) ?? 0) : 0
}

/** The value of field 1: bytes, or a number. */
const fieldOne = (message: Uint8Array): Uint8Array | number | undefined => {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; at < message.length && shift < 64; shift += 7) {
      // Within the message: the loop says so.
      const byte = message[at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError("a number that has no end")
  }
  while (at < message.length) {
    const tag = varint()
    const wireType = tag & 7
    const value = wireType === 0 ? varint() : wireType === 2 ? bytes(varint()) : skip(wireType)
    if (tag >>> 3 === 1) return value
  }
  return undefined

  function bytes(length: number): Uint8Array {
    const from = at
    at += length
    return message.subarray(from, at)
  }
  function skip(wireType: number): undefined {
    if (wireType !== 1 && wireType !== 5) throw new RangeError(`wire type ${wireType}`)
    at += wireType === 1 ? 8 : 4
  }
}
