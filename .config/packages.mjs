/** The packages that are published. */
import { globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/** `{ name, folder, manifest }` of each, the folder being absolute. */
export const published = globSync("packages/*/package.json", { cwd: root })
  .toSorted()
  .map((path) => ({ folder: join(root, dirname(path)), manifest: JSON.parse(readFileSync(join(root, path), "utf8")) }))
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ folder, manifest }) => ({ name: manifest.name, folder, manifest }))

/** The public modules of a package: `Retry`, `http/RequestId`; without the barrel and the internals. */
export const modulesOf = ({ folder }) =>
  globSync("**/*.ts", { cwd: join(folder, "src"), exclude: (name) => name === "internal" })
    .map((path) => path.replaceAll("\\", "/").replace(/\.ts$/, ""))
    .filter((path) => path !== "index")
    .toSorted()
