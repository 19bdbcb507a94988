/** The middleware of endpoints that only the server's operator may use. */
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as Schema from "effect/Schema"
import { Forbidden, Unauthorized } from "./Problems.ts"

const unauthorized = Unauthorized.pipe(HttpApiSchema.encodeToWithHeaders({
  body: Unauthorized,
  headers: { "www-authenticate": Schema.String }
}, {
  decode: ({ body }) => body,
  encode: (body) => ({ body, headers: { "www-authenticate": "Bearer" } })
}))

/**
 * Asks for the key of `ADMIN_KEY`, as a bearer token or in `X-API-Key`. No key at all is `401`, another key `403`.
 */
export class AdminKey extends HttpApiMiddleware.Service<AdminKey>()("agent-server/api/AdminKey", {
  error: [unauthorized, Forbidden],
  security: {
    bearer: HttpApiSecurity.bearer,
    apiKey: HttpApiSecurity.apiKey({ key: "X-API-Key", in: "header" })
  }
}) {}
