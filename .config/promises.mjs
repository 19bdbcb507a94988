/**
 * The promises of docs/promises.md, and the tests that prove them.
 *
 * A test proves the promise that its name begins with: `it.effect("CB-8 a wall clock that steps …")`. So do all tests of a
 * `describe` that is called so. Tests that are skipped prove nothing.
 */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseAst, Visitor } from "vite"
import { root } from "./packages.mjs"

/** The numbers of a list, in its order. */
export const promisesIn = (text) => [...text.matchAll(/^- \*\*(\w+-?\d+)\*\*/gm)].map(([, number]) => number)

/** `MT5` and `MT-5` are one. */
const plain = (number) => number.replace("-", "")

/** What is called where: `it` and `it.effect.each` of `it.effect.each(table)("name")`. */
const nameOf = (callee) => {
  if (callee.type === "Identifier") return callee.name
  if (callee.type === "CallExpression") return nameOf(callee.callee)
  if (callee.type !== "MemberExpression" || callee.computed) return ""
  const object = nameOf(callee.object)
  return object === "" ? "" : `${object}.${callee.property.name}`
}

const isTest = (name) => /(^|\.)(it|test|describe)(\.\w+)*$/.test(name) && !/\.(skip|todo|only)\b/.test(name)

/** What the name begins with, as far as that is written down. */
const beginning = (argument) =>
  argument?.type === "TemplateLiteral"
    ? argument.quasis[0].value.cooked
    : argument?.type === "Literal"
    ? argument.value
    : ""

/** The numbers that the names of a file's tests begin with. */
export const numbersIn = (code) => {
  const numbers = new Set()
  const visitor = new Visitor({
    CallExpression({ arguments: [first], callee }) {
      const number = /^(CB-|RT-|RL-|FB-|DL-|HP|SD|MT|TR|LG)-?\d+\b/.exec(beginning(first))?.[0]
      if (number !== undefined && isTest(nameOf(callee))) numbers.add(number)
    }
  })
  visitor.visit(parseAst(code, { lang: "ts" }))
  return numbers
}

/** What is wrong between a list and the tests, `{ file: code }`: a sentence each. */
export const complaints = (list, tests) => {
  const promised = promisesIn(list)
  const known = new Set(promised.map(plain))
  const proven = new Set()
  const unknown = []
  for (const [file, code] of Object.entries(tests)) {
    for (const number of numbersIn(code)) {
      proven.add(plain(number))
      if (!known.has(plain(number))) unknown.push(`${file} proves ${number}, which nobody promised.`)
    }
  }
  const twice = promised.filter((number, index) => promised.indexOf(number) !== index)
  return [
    ...twice.map((number) => `${number} is promised twice.`),
    ...promised.filter((number) => !proven.has(plain(number))).map((number) => `No test's name begins with ${number}.`),
    ...unknown
  ]
}

const read = (path) => readFileSync(join(root, path), "utf8")

/** What is wrong between docs/promises.md and the tests of the workspace. */
export const complaintsOfWorkspace = () => {
  const files = globSync(["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts"], { cwd: root })
  return complaints(read("docs/promises.md"), Object.fromEntries(files.map((file) => [file, read(file)])))
}
