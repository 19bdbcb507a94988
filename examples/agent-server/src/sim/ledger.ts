/** What a simulated provider would bill: the truth that everybody else's figures have to match. */

/**
 * Counts of one provider since the start.
 *
 * A call ends as one of: answered to its end, refused with an error, or broken off, by the provider's own fault or because
 * its client went away. Tokens, milliseconds of audio heard and characters spoken are those of replies that had begun,
 * up to where they broke off; each provider bills one of them, and the others stay 0.
 */
export interface Page {
  calls: number
  answered: number
  refused: number
  brokenOff: number
  promptTokens: number
  completionTokens: number
  audioMillis: number
  characters: number
}

/** A page on which nothing is written yet. */
export const emptyPage = (): Page => ({
  calls: 0,
  answered: 0,
  refused: 0,
  brokenOff: 0,
  promptTokens: 0,
  completionTokens: 0,
  audioMillis: 0,
  characters: 0
})
