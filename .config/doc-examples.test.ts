import { describe, it } from "vitest"
import { generate } from "./doc-examples.mjs"

describe("the examples in the documentation", () => {
  for (const { file, name } of generate().filter(({ run }) => run)) it(name, () => import(file))
})
