/** The metrics of sessions. Their names and meanings are those of the catalogue, which a test holds them to. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Stage } from "./summary.ts"

const boundaries = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10]

const byStage = (stage: Stage) => ({
  duration: Metric.histogram("session_stage_duration_seconds", {
    description: "How long a stage of a session took, one observation a measurement",
    attributes: { stage },
    boundaries
  }),
  average: Metric.gauge("session_stage_average_seconds", {
    description: "Mean over the last sessions",
    attributes: { stage }
  }),
  target: Metric.gauge("session_stage_target_seconds", {
    description: "What a stage should stay below",
    attributes: { stage }
  }),
  met: Metric.gauge("session_stage_target_met", {
    description: "1 while the mean is within the target, else 0",
    attributes: { stage }
  })
})

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

/** All of them, at 0, in the registry of the context. */
export const make = (stages: ReadonlyArray<Stage>, context: Context.Context<never>) => {
  const all = {
    stages: new Map(stages.map((stage) => [stage, byStage(stage)])),
    active: Metric.gauge("sessions_active", { description: "Sessions that are open" }),
    total: counter("sessions_total", "Sessions that ended"),
    errors: counter("session_errors_total", "Stages that failed"),
    bargeIns: counter("session_barge_ins_total", "Times that a user spoke over the agent")
  }
  const { stages: each, ...plain } = all
  for (const metric of [...Object.values(plain), ...[...each.values()].flatMap((metrics) => Object.values(metrics))]) {
    // Reading it brings it into being.
    metric.valueUnsafe(context)
  }
  return all
}
