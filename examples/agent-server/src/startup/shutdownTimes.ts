/** How long leaving may take, and whether that fits into the time that the process is given for it. */
import * as Duration from "effect/Duration"

/** What the environment says of it. */
export interface ShutdownTimes {
  /** How long to go on serving after SIGTERM, while load balancers learn that this instance is leaving. */
  readonly preStopDelay: Duration.Duration
  /** How long requests that are under way may take after that. */
  readonly drainTimeout: Duration.Duration
  /** After how long the process is killed, whatever it does. */
  readonly gracePeriod: Duration.Duration
}

/** What is kept for last words, for what else has to close, and for the last telemetry. */
const reserve = Duration.seconds(3)

/** Why these times cannot be kept, in a line for whoever set them; `undefined` when they can. */
export const complaintAbout = ({ drainTimeout, gracePeriod, preStopDelay }: ShutdownTimes): string | undefined => {
  const needed = Duration.sum(Duration.sum(preStopDelay, drainTimeout), reserve)
  if (Duration.isLessThanOrEqualTo(needed, gracePeriod)) return undefined
  return `PRE_STOP_DELAY (${Duration.format(preStopDelay)}), DRAIN_TIMEOUT (${Duration.format(drainTimeout)}) and ${
    Duration.format(reserve)
  } for closing do not fit into TERMINATION_GRACE_PERIOD_SECONDS (${
    Duration.format(gracePeriod)
  }): the process would be killed with requests under way`
}
