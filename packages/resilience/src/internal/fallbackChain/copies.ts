/** What this process has seen of a store's values, as text and as bytes. */
import * as Base64 from "effect/encoding/Base64"
import { Recent } from "../recent.ts"
import type { Op, Value } from "./journal.ts"

/** A value in the forms in which it is known; `null` where the key is known to have none. */
interface Copy {
  readonly text?: string | undefined
  readonly bytes?: Uint8Array | undefined
}

export type Form = "text" | "bytes"

/** A value in one of its forms. As every `KeyValueStore` does, bytes read as text are base64. */
export const inForm = <F extends Form>(value: Value, form: F): F extends "text" ? string : Uint8Array => {
  const converted = form === "text"
    ? typeof value === "string" ? value : Base64.encode(value)
    : typeof value === "string"
    ? new TextEncoder().encode(value)
    : value
  return converted as F extends "text" ? string : Uint8Array
}

export class Copies {
  private readonly copies: Recent<Copy | null>

  constructor(capacity: number) {
    this.copies = new Recent(capacity)
  }

  /** `undefined` when it is not known; `null` when there is no value. */
  find(key: string, form: Form): Value | null | undefined {
    const copy = this.copies.get(key)
    return copy === null || copy === undefined ? copy : copy[form]
  }

  /** A read said so, which does not tell the other form. */
  saw(key: string, form: Form, value: Value | undefined): void {
    if (value === undefined) return this.copies.set(key, null)
    const before = this.copies.get(key)
    this.copies.set(key, { ...before, [form]: value })
  }

  wrote(op: Op): void {
    switch (op._tag) {
      case "set":
        return this.copies.set(op.key, { text: inForm(op.value, "text"), bytes: inForm(op.value, "bytes") })
      case "remove":
        return this.copies.set(op.key, null)
      case "clear":
        return this.copies.clear()
    }
  }

  /** Nobody knows what became of it. */
  forget(op: Op): void {
    if (op._tag === "clear") this.copies.clear()
    else this.copies.delete(op.key)
  }
}
