/**
 * The examples of doc comments, docs/ and README.md, as modules that can be type-checked and run.
 *
 * A fence of language `ts` is one module: it may import and await at its top level. `expression // => value` at the end
 * of a top-level statement asserts deep equality with the statement's value, or with the variable it declares. A fence
 * of `ts no-run` is type-checked only. Other fences are left alone.
 *
 *   node .config/doc-examples.mjs     writes the modules and type-checks them; they run with the tests
 */
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseAst } from "vite"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const output = join(root, ".generated", "doc-examples")

const sources = () =>
  globSync(["packages/*/src/**/*.ts", "docs/**/*.md", "README.md", "examples/*/README.md"], { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .toSorted()

/** The `ts` fences of a text: `{ line, run, code }`, the line being that of the first line of code, from 1. */
export const fences = (text, isMarkdown) => {
  const lines = isMarkdown ? text.split("\n") : docCommentLines(text)
  const found = []
  let open
  lines.forEach((line, index) => {
    if (open !== undefined) {
      if (line !== undefined && line.trim() !== "```") open.code.push(line)
      else {
        if (open.language === "ts") found.push({ line: open.line, run: !open.noRun, code: open.code.join("\n") })
        open = undefined
      }
      return
    }
    const fence = /^\s*```(\w*)\s*(.*)$/.exec(line ?? "")
    if (fence !== null) open = { language: fence[1], noRun: fence[2].includes("no-run"), line: index + 2, code: [] }
  })
  return found
}

/** The lines of a source file without the stars of its doc comments; `undefined` for lines outside of them. */
const docCommentLines = (text) => {
  let inside = false
  return text.split("\n").map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true
    const content = inside ? line.replace(/^\s*(\/\*\*|\*\/|\*) ?/, "") : undefined
    if (line.includes("*/")) inside = false
    return content
  })
}

const arrow = /^[ \t]*\/\/ => (.+)$/

/** Turns `statement // => value` into assertions, on the same lines. */
export const withAssertions = (code) => {
  const { body } = parseAst(code, { lang: "ts" })
  const edits = []
  for (const statement of body) {
    const rest = code.slice(statement.end, code.indexOf("\n", statement.end) >>> 0)
    const expected = arrow.exec(rest.replace(/^;/, ""))?.[1]
    if (expected === undefined) continue
    const end = statement.end + rest.length
    if (statement.type === "ExpressionStatement") {
      const expression = code.slice(statement.expression.start, statement.expression.end)
      edits.push({ start: statement.start, end, text: `;__equal(await (${expression}), ${expected})` })
    } else if (statement.type === "VariableDeclaration" && statement.declarations[0].id.type === "Identifier") {
      const declaration = code.slice(statement.start, statement.end)
      edits.push({
        start: statement.start,
        end,
        text: `${declaration};__equal(${statement.declarations[0].id.name}, ${expected})`
      })
    }
  }
  const written = code.match(/\/\/ => /g)?.length ?? 0
  if (written !== edits.length) {
    throw new Error(`${written - edits.length} of ${written} "// =>" stand at no top-level expression or declaration`)
  }
  return edits.reduceRight((text, { end, start, text: edit }) => text.slice(0, start) + edit + text.slice(end), code)
}

const header = `import { assert as __assert } from "vitest"; const __equal = (actual: unknown, expected: unknown) => `
  + `__assert.deepStrictEqual(actual, expected);`

/** Writes all examples, and tells of each `{ name, file, run }`. */
export const generate = () => {
  rmSync(output, { recursive: true, force: true })
  mkdirSync(output, { recursive: true })
  const examples = sources().flatMap((source) =>
    fences(readFileSync(join(root, source), "utf8"), source.endsWith(".md")).map(({ code, line, run }) => {
      const name = `${source}:${line}`
      const file = join(output, `${name.replace(/[^A-Za-z0-9]+/g, "_")}.ts`)
      let body
      try {
        body = withAssertions(code)
      } catch (error) {
        throw new Error(`${name}: ${error.message}`, { cause: error })
      }
      // One line, then the example on its own line numbers, so that an error's line is the source's plus a constant.
      writeFileSync(file, `${header}\n${body}\nexport {}\n`)
      return { name, file, run }
    })
  )
  writeFileSync(
    join(output, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.base.json",
      include: ["."],
      compilerOptions: { composite: false, incremental: false, noEmit: true, noUnusedLocals: false, types: ["node"] }
    })
  )
  return examples
}

/** Names the source and line of each complaint of tsc. */
const named = (text, examples) =>
  examples.reduce(
    (named, { file, name }) => {
      const [, source, line] = /^(.*):(\d+)$/.exec(name)
      const generated = new RegExp(`\\S*${file.split("/").at(-1).replace(".", "\\.")}\\((\\d+),(\\d+)\\)`, "g")
      return named.replace(generated, (_, row, column) => `${source}:${Number(line) + Number(row) - 2}:${column}`)
    },
    text
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const examples = generate()
  const { status, stderr, stdout } = spawnSync("tsc", ["-p", output], { cwd: root, encoding: "utf8" })
  if (status === 0) console.log(`${examples.length} examples type-check`)
  else console.error(named(`${stdout}${stderr}`, examples))
  process.exitCode = status ?? 1
}
