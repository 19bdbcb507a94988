/** Whether a trace is among a share of all, decided by its id alone: all who ask, wherever they run, agree. */

/**
 * OpenTelemetry's consistent probability: the last 56 bits of the id, which are random, against a threshold. A trace
 * that is kept at one share is kept at every larger one.
 */
export const isWithinRatio = (traceId: string, ratio: number): boolean => {
  if (ratio >= 1) return true
  // Not a number for an id that is not hexadecimal, which is never kept.
  return ratio > 0 && Number.parseInt(traceId.slice(-14), 16) >= (1 - ratio) * 2 ** 56
}
