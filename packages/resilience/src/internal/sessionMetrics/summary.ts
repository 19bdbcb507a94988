/** What is known of a session when it has ended, and how it is written as a line and read back. */

export const stages = ["asr", "llm", "llm_ttft", "tts", "tts_ttfb", "e2e"] as const

export type Stage = typeof stages[number]

/** What a stage's work is counted in, where it is. */
const units = { asr: "chunks", llm: "tokens", tts: "frames" } as const

export type Counted = keyof typeof units

const isCounted = (stage: Stage): stage is Counted => stage in units

/** Latencies of a stage in one session, in milliseconds. */
export interface Latencies {
  readonly measurements: number
  readonly total: number
  readonly min: number
  readonly max: number
}

export const none: Latencies = { measurements: 0, total: 0, min: 0, max: 0 }

export const measured = (before: Latencies, millis: number): Latencies => ({
  measurements: before.measurements + 1,
  total: before.total + millis,
  min: before.measurements === 0 ? millis : Math.min(before.min, millis),
  max: Math.max(before.max, millis)
})

const average = ({ measurements, total }: Latencies): number => measurements === 0 ? 0 : total / measurements

export interface Summary {
  /** ISO 8601. */
  readonly ts: string
  readonly sessionId: string
  readonly traceId: string | undefined
  readonly durationMillis: number
  readonly latencies: ReadonlyMap<Stage, Latencies>
  readonly counts: ReadonlyMap<Stage, number>
  readonly errors: number
  readonly bargeIns: number
  readonly outcome: string
}

const version = 1

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000

/** A line without its end. */
export const encode = (summary: Summary): string => {
  const byStage = [...summary.latencies].map(([stage, latencies]) => [stage, {
    ...(isCounted(stage) ? { [units[stage]]: summary.counts.get(stage) ?? 0 } : {}),
    measurements: latencies.measurements,
    total_latency_ms: rounded(latencies.total),
    avg_latency_ms: rounded(average(latencies)),
    min_latency_ms: rounded(latencies.min),
    max_latency_ms: rounded(latencies.max)
  }])
  return JSON.stringify({
    v: version,
    ts: summary.ts,
    session_id: summary.sessionId,
    trace_id: summary.traceId ?? null,
    duration_s: rounded(summary.durationMillis / 1_000),
    ...Object.fromEntries(byStage),
    errors: summary.errors,
    barge_ins: summary.bargeIns,
    outcome: summary.outcome
  })
}

/**
 * The averages of each measured stage, in milliseconds: what a window needs to know of a session. They are those of the line, to
 * the last digit: a window that is read back has the same mean.
 */
export type Averages = ReadonlyMap<Stage, number>

export const averages = ({ latencies }: Summary): Averages =>
  new Map(
    [...latencies].filter(([, each]) => each.measurements > 0).map(([stage, each]) => [stage, rounded(average(each))])
  )

/** `undefined` for what is no line of ours: torn, of another version, or somebody else's. */
export const decode = (line: string): Averages | undefined => {
  let read: unknown
  try {
    read = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof read !== "object" || read === null) return undefined
  const record = read as Record<string, unknown>
  if (record["v"] !== version || typeof record["session_id"] !== "string") return undefined
  const found = new Map<Stage, number>()
  for (const stage of stages) {
    const { avg_latency_ms, measurements } = (record[stage] ?? {}) as Record<string, unknown>
    if (typeof measurements !== "number" || measurements <= 0) continue
    if (typeof avg_latency_ms === "number" && avg_latency_ms >= 0) found.set(stage, avg_latency_ms)
  }
  return found
}
