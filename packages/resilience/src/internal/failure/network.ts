/** What Node's network stack (sockets, DNS, TLS, undici) means by its error codes. */
import type { Info } from "../../Failure.ts"
import { dependency, read, readString, request } from "./info.ts"

/** The peer or the way to it failed; the next try may find another peer or a repaired way. */
const transient = new Set([
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENOTCONN",
  "ENOTFOUND",
  "EPIPE",
  "EPROTO",
  "ERR_HTTP2_GOAWAY_SESSION",
  "ERR_HTTP2_STREAM_ERROR",
  "ERR_SOCKET_CLOSED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "HPE_INVALID_CONSTANT",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
  "UND_ERR_PRX_TLS",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RESPONSE",
  "UND_ERR_SOCKET"
])

const timeout = new Set([
  "ERR_SOCKET_CONNECTION_TIMEOUT",
  "ESOCKETTIMEDOUT",
  "ETIME",
  "ETIMEDOUT",
  "ETIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT"
])

/** This process has run out of something: files, buffers, memory. Trying again at once makes it worse. */
const overloaded = new Set(["EAGAIN", "EBUSY", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])

const cancelled = new Set(["ABORT_ERR", "ERR_CANCELED", "UND_ERR_ABORTED"])

/** The peer cannot prove who it is. No retry mends that, and somebody should look. */
const security = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/** Wrong use of the client: the request never left. */
const misuse = new Set([
  "ERR_INVALID_ARG_TYPE",
  "ERR_INVALID_ARG_VALUE",
  "ERR_INVALID_CHAR",
  "ERR_INVALID_HTTP_TOKEN",
  "ERR_INVALID_URL",
  "UND_ERR_INVALID_ARG",
  "UND_ERR_INVALID_RETURN_VALUE",
  "UND_ERR_NOT_SUPPORTED",
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"
])

/** Matches errors that carry a code of Node's, and the two `DOMException`s that abort signals throw. */
export const networkRule = (error: unknown): Info | undefined => {
  const name = readString(error, "name")
  if (name === "AbortError") return request("Cancelled", error, { code: "AbortError" })
  if (name === "TimeoutError" && read(error, "code") === 23) {
    return dependency("Timeout", error, { code: "TimeoutError" })
  }
  const code = readString(error, "code")
  if (code === undefined) return undefined
  if (transient.has(code)) return dependency("Transient", error, { code })
  if (timeout.has(code)) return dependency("Timeout", error, { code })
  if (overloaded.has(code)) return dependency("Overloaded", error, { code })
  if (cancelled.has(code)) return request("Cancelled", error, { code })
  if (security.has(code)) return dependency("Critical", error, { code })
  if (misuse.has(code)) return request("Permanent", error, { code })
  return undefined
}
