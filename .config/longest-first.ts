/** The order of the test files. */
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The files that take longest, the longest first. */
const longest: ReadonlyArray<string> = [
  "DeadLetterQueue.kill",
  "storm",
  "console.browser",
  "chain",
  "survives",
  "stores",
  "letters",
  "drain",
  "contract/shared",
  "contract/embedded",
  "dlqCli",
  "instances",
  "policies",
  "telemetry",
  "voice",
  "ledger",
  "flat",
  "rateLimits",
  "startup",
  "voiceSessions",
  "health"
]

const rank = ({ moduleId }: TestSpecification): number => {
  const at = longest.findIndex((name) => moduleId.endsWith(`/${name}.integration.test.ts`))
  return at === -1 ? longest.length : at
}

/** Begins with the files that take longest, so that no worker is left with one of them when the others have ended. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    // oxlint-disable-next-line unicorn/no-array-sort -- It is no array that sorts here.
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other))
  }
}
