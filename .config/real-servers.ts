/**
 * The servers that tests need and npm does not bring.
 *
 * Before the tests: what is missing is installed where that can be done unasked, which is as root on Debian or Ubuntu (a
 * container, CI). After them: what was skipped because a program is missing is said aloud; with `CI=true` it is an error.
 */
import { mark } from "@effect-resilience/testing/RealServer"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Reporter, TestModule } from "vitest/node"

/** Program on `PATH` and its Debian package. */
const programs = [
  { program: "redis-server", package: "redis-server" },
  { program: "prometheus", package: "prometheus" },
  { program: "promtool", package: "prometheus" },
  { program: "haproxy", package: "haproxy" },
  { program: "chromium", package: "chromium" }
]

const isMissing = ({ program }: { readonly program: string }) =>
  spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0

const isRootOnDebian = () => process.getuid?.() === 0 && existsSync("/etc/debian_version")

/** Debian starts a service that it installs, unless this file says no. */
const policy = "/usr/sbin/policy-rc.d"

const install = (names: ReadonlyArray<string>) => {
  console.log(`Installing ${names.join(", ")} with apt-get: tests need it.`)
  const script = `
    set -e
    if [ ! -e ${policy} ]; then
      printf '#!/bin/sh\\nexit 101\\n' > ${policy}; chmod +x ${policy}; trap 'rm -f ${policy}' EXIT
    fi
    apt-get -o DPkg::Lock::Timeout=120 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends ${
    names.join(" ")
  }`
  const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8", timeout: 300_000 })
  if (status !== 0) {
    console.log(`apt-get could not install it: ${stderr.trim().split("\n").at(-1) ?? "no reason given"}`)
  }
}

/** Two test runs that start at once install one after the other. */
const lock = join(tmpdir(), "effect-resilience-apt.lock")

const installMissing = () => {
  try {
    mkdirSync(lock)
  } catch {
    for (let waited = 0; existsSync(lock) && waited < 300; waited++) spawnSync("sleep", ["1"])
    return
  }
  try {
    install([...new Set(programs.filter(isMissing).map(({ package: name }) => name))])
  } finally {
    rmdirSync(lock)
  }
}

/** Vitest's global set-up. */
export default () => {
  if (programs.some(isMissing) && isRootOnDebian()) installMissing()
}

/** Says what was skipped. */
export const skippedReporter: Reporter = {
  onTestRunEnd(modules: ReadonlyArray<TestModule>) {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")])
    // One that is there was skipped because somebody asked for other tests only.
    for (const { package: name, program } of programs.filter(isMissing)) {
      const count = skipped.filter(({ fullName }) => fullName.includes(mark(program))).length
      if (count === 0) continue
      console.error(`\n${count} tests skipped: ${program} is not installed. Install it: apt-get install ${name}`)
      if (process.env["CI"] === "true") process.exitCode = 1
    }
  }
}
