/** The lists of models of the providers that speak as OpenAI does. */
import { refusal } from "./openaiErrors.ts"
import { meetFree, type Provider, type Reply } from "./provider.ts"

/** `GET /models`, for a provider of these. */
export const models = (...ids: ReadonlyArray<string>) => (provider: Provider): Reply =>
  meetFree(provider, refusal, {
    object: "list",
    data: ids.map((id) => ({ id, object: "model", created: 1_715_367_049, owned_by: "simulator" }))
  })
