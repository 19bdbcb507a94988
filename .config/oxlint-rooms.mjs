/**
 * The rooms of packages/resilience/src, as lint rules.
 *
 * `rooms/imports`: who may import whom. A room is a public module with its `internal/<room>/`. Ground rooms may be
 * imported by all; policies do not import each other, listeners import no policy, and nobody imports the internals of
 * another room. From outside, only subpaths of `effect` come in.
 *
 * `rooms/no-ambient`: time, randomness, configuration and output come from Effect's services, so that tests hold them.
 */
const floors = {
  ground: ["Signal", "Failure"],
  policy: [
    "Retry",
    "RetryBudget",
    "Deadline",
    "Bulkhead",
    "ConcurrencyLimit",
    "Hedge",
    "CircuitBreaker",
    "RateLimiter",
    "ResponseCache",
    "HealthProbes",
    "DeadLetterQueue"
  ],
  composition: ["FallbackChain", "Policy"],
  listener: ["Metrics", "Tracing", "OtlpExporter", "Logging", "SessionMetrics"],
  meter: ["LanguageModelMetrics", "StoreMetrics"],
  http: ["http", "HttpClientPolicy"]
}

const mayImport = {
  ground: ["ground"],
  policy: ["ground"],
  composition: ["ground", "policy", "composition"],
  listener: ["ground"],
  meter: ["ground", "listener"],
  http: ["ground", "policy", "composition", "listener", "meter", "http"]
}

/** A retry policy is a Schedule that draws on a budget and a deadline: these two are services of it, not siblings. */
const exceptions = new Set(["Retry > RetryBudget", "Retry > Deadline"])

const floorOf = (room) => Object.keys(floors).find((floor) => floors[floor].includes(room))
const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1)
const rooms = Object.values(floors).flat()
const roomByFolder = new Map(rooms.map((room) => [lowerFirst(room), room]))

/** `{ room, internal }` of a path below src: `room` is undefined for shared ground and for the barrel. */
const place = (path) => {
  const [first, second, ...rest] = path.replace(/\.ts$/, "").split("/")
  if (first === "internal") {
    return rest.length === 0 && !roomByFolder.has(second)
      ? { internal: true }
      : { internal: true, room: roomByFolder.get(second) ?? second }
  }
  return { internal: false, room: first === "index" ? undefined : first }
}

const srcMarker = "packages/resilience/src/"
const pathBelowSrc = (filename) => {
  const path = filename.replaceAll("\\", "/")
  const at = path.lastIndexOf(srcMarker)
  return at === -1 ? undefined : path.slice(at + srcMarker.length)
}

/** Resolves a relative import to a path below src; `undefined` when it leaves src. */
const resolve = (from, specifier) => {
  const parts = from.split("/").slice(0, -1)
  for (const part of specifier.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return undefined
    } else if (part !== ".") parts.push(part)
  }
  return parts.join("/")
}

const complaint = (from, specifier) => {
  if (!specifier.startsWith(".")) {
    if (/^effect\/.+/.test(specifier)) return undefined
    return specifier === "effect"
      ? "Import a subpath such as \"effect/Effect\": the barrel costs every user its size."
      : `Only subpaths of "effect" may be imported here, not "${specifier}".`
  }
  const target = resolve(from, specifier)
  if (target === undefined) return `"${specifier}" leaves the package's src.`
  const here = place(from)
  const there = place(target)
  if (from === "index.ts") return there.internal ? "The barrel exports no internals." : undefined
  if (there.room === undefined) return there.internal ? undefined : "Import the module, not the barrel."
  if (here.room === there.room) return undefined
  if (here.room === undefined) {
    return floorOf(there.room) === "ground" && !there.internal
      ? undefined
      : `Shared ground imports no room above it, not even "${there.room}".`
  }
  if (exceptions.has(`${here.room} > ${there.room}`)) return undefined
  if (there.internal) return `The internals of ${there.room} are its own.`
  const fromFloor = floorOf(here.room)
  const toFloor = floorOf(there.room)
  if (fromFloor === undefined) return `"${here.room}" has no floor: add it to the table of .config/oxlint-rooms.mjs.`
  if (toFloor === undefined) return `"${there.room}" has no floor: add it to the table of .config/oxlint-rooms.mjs.`
  return mayImport[fromFloor].includes(toFloor)
    ? undefined
    : `${here.room} (${fromFloor}) may not import ${there.room} (${toFloor}).`
}

const imports = {
  create(context) {
    const from = pathBelowSrc(context.filename)
    if (from === undefined) return {}
    const check = (node) => {
      if (node.source === null || node.source === undefined) return
      const message = complaint(from, node.source.value)
      if (message !== undefined) context.report({ node: node.source, message })
    }
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check
    }
  }
}

const ambient = {
  Date: "Time comes from Clock or DateTime.",
  process: "Configuration comes from Config.",
  console: "Output goes through Effect.log or a Signal.",
  setTimeout: "Waiting is Effect.sleep or a Schedule.",
  setInterval: "Repeating is a Schedule.",
  setImmediate: "Yielding is Effect.yieldNow.",
  queueMicrotask: "Yielding is Effect.yieldNow.",
  performance: "Time comes from Clock.",
  crypto: "Randomness comes from Random or SecureRandom.",
  fetch: "Requests go through HttpClient.",
  Promise: "Asynchrony is an Effect."
}

const noAmbient = {
  create(context) {
    if (pathBelowSrc(context.filename) === undefined) return {}
    const noAsync = (node) => {
      if (node.async) context.report({ node, message: "Asynchrony is an Effect, not an async function." })
    }
    return {
      Program() {
        const { globalScope } = context.sourceCode.scopeManager
        // Globals that the linter knows are variables without a definition, others are references that nothing resolves.
        const known = globalScope.variables.filter(({ defs }) => defs.length === 0)
        for (const reference of [...globalScope.through, ...known.flatMap(({ references }) => references)]) {
          const message = ambient[reference.identifier.name]
          if (message !== undefined && reference.isValueReference !== false) {
            context.report({ node: reference.identifier, message })
          }
        }
      },
      MemberExpression(node) {
        if (node.object.name === "Math" && node.property.name === "random") {
          context.report({ node, message: "Randomness comes from Random." })
        }
      },
      FunctionDeclaration: noAsync,
      FunctionExpression: noAsync,
      ArrowFunctionExpression: noAsync,
      AwaitExpression(node) {
        context.report({ node, message: "Asynchrony is an Effect: yield* it." })
      }
    }
  }
}

export default { meta: { name: "rooms" }, rules: { imports, "no-ambient": noAmbient } }
