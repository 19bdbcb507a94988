/**
 * What a module costs its user: minified and gzipped bytes of our own code, Effect left out, against a budget.
 *
 * Also checks that tree shaking works: taking a module from the barrel must cost what taking it alone does.
 *
 *   node .config/sizes.mjs            compares with .config/size-budgets.json
 *   node .config/sizes.mjs --write    sets each budget to today's size and a tenth more
 */
import { build } from "esbuild"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { modulesOf, published, root } from "./packages.mjs"

const budgetsFile = join(root, ".config", "size-budgets.json")
const core = published.find(({ name }) => name === "effect-resilience")

const bytes = async (code) => {
  const result = await build({
    stdin: { contents: code, resolveDir: core.folder },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: [],
    external: ["effect", "effect/*"],
    alias: { "effect-resilience": join(core.folder, "dist") },
    logLevel: "silent"
  })
  return gzipSync(result.outputFiles[0].contents).length
}

const rows = await Promise.all(
  modulesOf(core).map(async (module) => {
    const file = join(core.folder, "dist", `${module}.js`)
    const name = module.split("/").at(-1)
    const alone = await bytes(`import * as M from ${JSON.stringify(file)}; console.log(M)`)
    const barrel = await bytes(
      `import { ${name} } from ${JSON.stringify(join(core.folder, "dist", "index.js"))}; console.log(${name})`
    )
    return { module, alone, barrel }
  })
)

if (process.argv.includes("--write")) {
  const budgets = Object.fromEntries(rows.map(({ alone, module }) => [module, Math.ceil(alone * 1.1 / 50) * 50]))
  writeFileSync(budgetsFile, `${JSON.stringify(budgets, null, 2)}\n`)
}

const budgets = JSON.parse(readFileSync(budgetsFile, "utf8"))
const problems = rows.flatMap(({ alone, barrel, module }) => {
  const budget = budgets[module]
  if (budget === undefined) return [`${module} has no budget: run "pnpm sizes --write"`]
  return [
    ...(alone > budget ? [`${module} takes ${alone} bytes, over its budget of ${budget}`] : []),
    // A few bytes for the import itself; more means that the barrel drags other modules in.
    ...(barrel > alone + 64 ? [`${module} takes ${barrel} bytes from the barrel and ${alone} alone`] : [])
  ]
})
console.table(
  Object.fromEntries(rows.map(({ alone, barrel, module }) => [module, { alone, barrel, budget: budgets[module] }]))
)
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
