import { expect, it } from "@effect/vitest"
it("runs", () => {
  expect(process.version).toMatch(/^v24/)
})
