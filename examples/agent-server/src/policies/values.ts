/**
 * Every figure of the policies, in one place and as plain data. What is made of them is beside this file.
 *
 * Shares of time are shares of a whole turn's.
 */
export const values = {
  /** For each provider. */
  breaker: {
    consecutive: 5,
    failureRate: { threshold: 0.5, window: "30 seconds", minimumCalls: 20 },
    openFor: "30 seconds",
    maxOpenFor: "5 minutes",
    ramp: { steps: [0.1, 0.25, 0.5, 0.75], every: "7.5 seconds" }
  },
  /** For each provider: calls in flight, calls that wait, and how long before they go on to the next route. */
  bulkhead: { limit: 512, queue: 4096, maxWait: "2 seconds" },
  /** For each provider, before the next one is asked. */
  retry: {
    times: 2,
    transient: { base: "100 millis", cap: "1 second" },
    overloaded: { base: "250 millis", cap: "2 seconds" },
    retryAfterCap: "1 second"
  },
  /** What the retries of all chats together may add to the providers' load. */
  retryBudget: { ratio: 0.2, floor: 10, window: "10 seconds" },
  deadlines: {
    /** All routes together. The rest is for a reply in place of theirs, and for storing it. */
    models: 0.9,
    /** One attempt, so that three routes which hang do not take more than the models' time. */
    attempt: 0.28
  },
  /** How long a call waits for room under a provider's own limits before it goes on to the next route. */
  limits: { maxWait: "500 millis", maxQueue: 1000 },
  chain: {
    /** A route that says 429 and not for how long, rests so long; longer each time. */
    limited: { base: "1 second", cap: "1 minute" },
    /** How long a route whose key or account was refused is not asked. */
    haltFor: "10 minutes",
    /** How long a call waits when every route asked to be left alone. */
    maxWait: "2 seconds",
    budget: { window: "1 day", warnAt: 0.8, denyAt: 1.2 }
  },
  /** Quality is on a scale of our own. A model that is not here takes any amount, and nobody knows how good it is. */
  models: {
    "gpt-4o": { quality: 9, contextWindow: 128_000 },
    "gpt-4o-mini": { quality: 7, contextWindow: 128_000 },
    "gpt-4.1": { quality: 9, contextWindow: 1_047_576 },
    "gpt-4.1-mini": { quality: 8, contextWindow: 1_047_576 },
    "gpt-4.1-nano": { quality: 6, contextWindow: 1_047_576 },
    "claude-3-5-haiku": { quality: 7, contextWindow: 200_000 },
    "claude-haiku-4-5": { quality: 8, contextWindow: 200_000 }
  },
  /** Replies that are kept for when no model answers. */
  replies: { ttl: "1 hour", staleIfError: "1 day", capacity: 10_000 },
  /**
   * How much of a session's history a model is told: the last messages, at most this many of them and this many characters.
   * The oldest are left out first. What the user says now is always told in full.
   */
  history: { messages: 40, characters: 48_000 },
  /** How many turns of one session may wait for the one that is running. */
  waitingTurns: 8
} as const
