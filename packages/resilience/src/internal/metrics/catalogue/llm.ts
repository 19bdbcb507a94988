/** Language models, and the transcription and speech beside them. */
import { type Entry, powers } from "./entry.ts"

/** OpenTelemetry's boundaries for generative AI. */
const tokens = powers(1, 4, 14)
const seconds = powers(0.01, 2, 14)

const genAi = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"] as const
const call = {
  labels: ["provider", "model", "outcome"],
  values: { outcome: ["success", "failure", "interrupted"] }
} as const

export const llm = {
  gen_ai_client_token_usage: {
    type: "histogram",
    unit: "tokens",
    labels: [...genAi, "gen_ai_token_type"],
    values: { gen_ai_token_type: ["input", "output"] },
    buckets: tokens,
    help: "Tokens of a call",
    from: "LanguageModelMetrics"
  },
  gen_ai_client_operation_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: genAi,
    buckets: seconds,
    help: "How long a call took",
    from: "LanguageModelMetrics"
  },
  gen_ai_client_operation_time_to_first_chunk_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: genAi,
    buckets: seconds,
    help: "How long the first chunk of a stream took",
    from: "LanguageModelMetrics"
  },
  gen_ai_client_operation_time_per_output_chunk_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: genAi,
    buckets: seconds,
    help: "Time from one chunk of a stream to the next",
    from: "LanguageModelMetrics"
  },
  llm_requests_total: {
    type: "counter",
    unit: "count",
    ...call,
    help: "Calls of language models",
    from: "LanguageModelMetrics"
  },
  stt_requests_total: {
    type: "counter",
    unit: "count",
    ...call,
    help: "Calls of transcription",
    from: "LanguageModelMetrics"
  },
  tts_requests_total: {
    type: "counter",
    unit: "count",
    ...call,
    help: "Calls of speech synthesis",
    from: "LanguageModelMetrics"
  },
  llm_tokens_total: {
    type: "counter",
    unit: "tokens",
    labels: ["provider", "model", "type"],
    values: { type: ["input", "output"] },
    help: "Tokens used",
    from: "LanguageModelMetrics"
  },
  llm_cost_usd_total: {
    type: "counter",
    unit: "usd",
    labels: ["provider", "model"],
    help: "Money spent",
    from: "LanguageModelMetrics"
  },
  llm_cost_unpriced_calls_total: {
    type: "counter",
    unit: "count",
    labels: ["provider", "model"],
    help: "Calls whose price is not known",
    from: "LanguageModelMetrics"
  },
  llm_budget_remaining_usd: {
    type: "gauge",
    unit: "usd",
    labels: ["budget"],
    help: "Money left of a budget",
    from: "LanguageModelMetrics"
  }
} as const satisfies Record<string, Entry>
