import { assert, describe, it } from "vitest"
import { complaints, complaintsOfWorkspace, numbersIn } from "./promises.mjs"

describe("the promises of docs/promises.md", () => {
  it("have a test each, and tests prove no others", () => {
    assert.deepStrictEqual(complaintsOfWorkspace(), [])
  })

  it("are proven by the names of tests, however these are made", () => {
    const code = `
      it("MT1: a", () => {})
      it.effect("CB-2 b", () => x)
      it.effect.prop("RL-3 c", [], () => x)
      it.each([1])("DL-4 d %s", () => {})
      for (const step of steps) it.live(\`RT-5 \${step}\`, () => x)
      RealServer.describe("redis", "store", () => { describe("FB-6 f", () => {}) })
    `
    assert.deepStrictEqual([...numbersIn(code)], ["MT1", "CB-2", "RL-3", "DL-4", "RT-5", "FB-6"])
  })

  it("are proven neither by tests that are skipped, nor by other words", () => {
    const [skipped, planned] = ["skip", "todo"]
    const code = `
      it.${skipped}("CB-1 a", () => {})
      describe.${skipped}("CB-2 b", () => {})
      it.${planned}("CB-3 c")
      // it("CB-4 d", () => {})
      log("CB-5 e")
      it("as CB-6 says", () => {})
    `
    assert.deepStrictEqual([...numbersIn(code)], [])
  })

  it("are told where one is without a test, promised twice, or made up", () => {
    const list = "- **CB-1** a\n- **CB-2** b\n- **MT1** c\n- **CB-1** d\n"
    assert.deepStrictEqual(
      complaints(list, { "a.test.ts": "it(\"MT-1 c\", f)\nit(\"CB-1 a\", f)\nit(\"CB-21 z\", f)" }),
      [
        "CB-1 is promised twice.",
        "No test's name begins with CB-2.",
        "a.test.ts proves CB-21, which nobody promised."
      ]
    )
  })
})
