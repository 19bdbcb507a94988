/** The assembly: what the agent server does, of the packages that a Fastify service would take. */
import { fastify, type FastifyBaseLogger, type FastifyError, type FastifyInstance, LogController } from "fastify"
import { randomUUID } from "node:crypto"
import { pino } from "pino"
import { identify } from "./callers.ts"
import { addLimits } from "./limits.ts"
import { makeMetrics } from "./metrics.ts"
import { Problem, problemOf, sendProblem } from "./problems.ts"
import { makeProvider } from "./provider.ts"
import { addChat } from "./routes/chat.ts"
import { addOperations } from "./routes/operations.ts"
import { addSessions } from "./routes/sessions.ts"
import { openSessions } from "./sessions.ts"
import type { Settings } from "./settings.ts"
import { addTracing } from "./tracing.ts"
import { makeTurns } from "./turns.ts"

const isRequestId = /^[\w.:-]{1,128}$/

/** Puts the server together. It does not listen yet. */
export const makeApp = async (settings: Settings): Promise<FastifyInstance> => {
  const logger: FastifyBaseLogger = pino({ level: settings.logLevel, base: null })
  const app = fastify({
    loggerInstance: logger,
    bodyLimit: settings.maxBodyBytes,
    // One line for each request is written below.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "request_id" }),
    genReqId: ({ headers }) => {
      const given = headers["x-request-id"]
      return typeof given === "string" && isRequestId.test(given) ? given : randomUUID()
    },
    keepAliveTimeout: 65_000,
    requestTimeout: 60_000,
    ajv: { customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false } }
  })
  const metrics = makeMetrics()
  const sessions = openSessions(settings.dataDir, metrics)
  const provider = makeProvider(settings, metrics)
  const turns = makeTurns({ model: settings.model, provider, sessions })

  app.removeContentTypeParser("text/plain")
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const problem = problemOf(error, request, settings.maxBodyBytes)
    if (problem.code === "internal_error") request.log.error(error, "Unexpected error")
    return sendProblem(reply, problem)
  })
  app.setNotFoundHandler((_, reply) =>
    sendProblem(reply, new Problem("route_not_found", "There is no endpoint at this path."))
  )
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id).header("cache-control", "no-store")
    metrics.requestBegan()
    done()
  })
  app.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "_unmatched"
    const status = reply.raw.writableFinished ? reply.statusCode : 499
    metrics.requestEnded(request.method, route, status, reply.elapsedTime / 1000)
    request.log.info({ method: request.method, route, status, duration_ms: reply.elapsedTime }, "request")
    done()
  })
  addTracing(app)
  addOperations(app, metrics)
  await app.register(async (limited) => {
    const callerOf = identify(settings.apiKeys)
    limited.decorateRequest("caller")
    limited.addHook("onRequest", async (request) => {
      request.caller = callerOf(request)
    })
    await addLimits(limited, {
      hasKeys: settings.apiKeys !== "",
      agentRequestsPerMinute: settings.agentRequestsPerMinute,
      metrics
    })
    addChat(limited, { maxMessageChars: settings.maxMessageChars, turns })
    addSessions(limited, sessions)
  })
  app.addHook("onClose", async () => {
    await provider.close()
    sessions.close()
  })
  return app
}
