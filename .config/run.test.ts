/** What the two commands say where they cannot do their work. They run here in a copy that has nothing installed. */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")

const bare = mkdtempSync(join(tmpdir(), "bare-clone-"))
mkdirSync(join(bare, ".config"))
for (const file of [".config/run.mjs", "package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
  copyFileSync(join(root, file), join(bare, file))
}
afterAll(() => rmSync(bare, { recursive: true, force: true }))

const run = (command: string, environment: Readonly<Record<string, string>>) => {
  const { status, stderr } = spawnSync(process.execPath, [join(bare, ".config", "run.mjs"), command], {
    encoding: "utf8",
    env: { HOME: bare, ...environment }
  })
  return { status, lines: stderr.trimEnd().split("\n") }
}

describe("a missing prerequisite is told in one plain sentence", () => {
  it("where npm is missing", () => {
    for (const command of ["start", "test"]) {
      const { lines, status } = run(command, { PATH: join(bare, "nothing-here") })
      expect(status).toBe(1)
      expect(lines).toEqual([expect.stringMatching(/^npm is needed to install dependencies: .*\.$/)])
    }
  })

  it("where the registry cannot be reached, after what npm said", () => {
    const { lines, status } = run("start", {
      PATH: process.env["PATH"] ?? "",
      npm_config_registry: "http://127.0.0.1:1/",
      npm_config_fetch_retries: "0",
      npm_config_cache: join(bare, "cache")
    })
    expect(status).toBe(1)
    expect(lines.at(-1)).toBe(
      "The dependencies could not be installed; the lines above say why. Is the npm registry reachable?"
    )
    expect(lines.join("\n")).toContain("127.0.0.1:1")
  })

  it("where the command is none", () => {
    const { lines, status } = run("stat", { PATH: process.env["PATH"] ?? "" })
    expect([status, lines]).toEqual([1, ["Usage: node .config/run.mjs start|test|check|install"]])
  })
})
