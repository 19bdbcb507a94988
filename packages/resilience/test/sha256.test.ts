/** The hash that needs no waiting is the one that everybody else computes. */
import { describe, expect, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { sha256 } from "../src/internal/sha256.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

describe("sha256", () => {
  it("has the digests that the standard gives", () => {
    const of = (text: string) => hex(sha256(new TextEncoder().encode(text)))
    expect(of("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    expect(of("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    expect(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).toBe(
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )
  })

  it("is Node's own for data of every length around the ends of blocks", () => {
    for (let length = 0; length <= 260; length++) {
      const data = Uint8Array.from({ length }, (_, index) => index * 131 + length & 0xff)
      expect([length, hex(sha256(data))]).toEqual([length, createHash("sha256").update(data).digest("hex")])
    }
    const large = new Uint8Array(100_001).fill(0xff)
    expect(hex(sha256(large))).toBe(createHash("sha256").update(large).digest("hex"))
  })

  it("leaves the data as it is, and takes a part of a larger buffer", () => {
    const all = Uint8Array.from({ length: 100 }, (_, index) => index)
    const part = all.subarray(10, 80)
    expect(hex(sha256(part))).toBe(createHash("sha256").update(part).digest("hex"))
    expect(all[10]).toBe(10)
  })
})
