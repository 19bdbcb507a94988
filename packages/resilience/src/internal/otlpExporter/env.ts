/** What OpenTelemetry's environment variables say of the export of traces. */
import * as Config from "effect/Config"
import * as Schema from "effect/Schema"

export type Protocol = "http/protobuf" | "http/json"

export interface FromEnv {
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly protocol: Protocol
  readonly compression: "gzip" | "none"
  readonly resource: {
    readonly serviceName: string
    readonly serviceVersion?: string | undefined
    readonly attributes: { readonly [name: string]: string }
  }
  readonly timeout?: number | undefined
  readonly interval?: number | undefined
  readonly queueSize?: number | undefined
  readonly batchSize?: number | undefined
}

/** The variable of traces, else that of all signals. */
const either = <A>(name: string, config: (name: string) => Config.Config<A>): Config.Config<A | undefined> =>
  optional(config(`OTEL_EXPORTER_OTLP_TRACES_${name}`)).pipe(
    Config.flatMap((own) =>
      own === undefined ? optional(config(`OTEL_EXPORTER_OTLP_${name}`)) : Config.succeed<A | undefined>(own)
    )
  )

const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> => Config.withDefault(config, undefined)

/** `collector:4318` is a URL, too, but not of HTTP. */
export const isHttpUrl = (url: string): boolean => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

const httpUrl = (name: string) =>
  Config.schema(Schema.String.check(Schema.makeFilter(isHttpUrl, { expected: "a URL of HTTP" })), name)

const endpoint: Config.Config<string | undefined> = Config.all({
  own: optional(httpUrl("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")),
  shared: optional(httpUrl("OTEL_EXPORTER_OTLP_ENDPOINT"))
}).pipe(Config.map(({ own, shared }) => {
  if (own !== undefined) return own
  if (shared === undefined) return undefined
  const url = new URL(shared)
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`
  return url.toString()
}))

const record = (name: string) => Config.Record(Schema.String, Schema.StringFromUriComponent, name)

const resource: Config.Config<FromEnv["resource"]> = Config.all({
  attributes: Config.map(optional(record("OTEL_RESOURCE_ATTRIBUTES")), (attributes) => attributes ?? {}),
  name: optional(Config.String("OTEL_SERVICE_NAME"))
}).pipe(Config.map(({ attributes, name }) => {
  const { "service.name": named, "service.version": serviceVersion, ...others } = attributes
  return { serviceName: name ?? named ?? unknownService, serviceVersion, attributes: others }
}))

/** What a service is called that nobody has named. */
export const unknownService = "unknown_service:node"

const positive = (name: string) => Config.schema(Schema.Int.check(Schema.isGreaterThan(0)), name)

const settings = Config.all({
  url: endpoint,
  headers: Config.map(either("HEADERS", record), (headers) => headers ?? {}),
  protocol: Config.map(
    either("PROTOCOL", (name) => Config.Literals(["http/protobuf", "http/json"], name)),
    (protocol): Protocol => protocol ?? "http/protobuf"
  ),
  compression: Config.map(
    either("COMPRESSION", (name) => Config.Literals(["gzip", "none"], name)),
    (compression): "gzip" | "none" => compression ?? "none"
  ),
  resource,
  timeout: either("TIMEOUT", positive),
  interval: optional(positive("OTEL_BSP_SCHEDULE_DELAY")),
  queueSize: optional(positive("OTEL_BSP_MAX_QUEUE_SIZE")),
  batchSize: optional(positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))
})

const isOff = Config.all({
  disabled: Config.withDefault(Config.Boolean("OTEL_SDK_DISABLED"), false),
  exporters: Config.withDefault(Config.String("OTEL_TRACES_EXPORTER"), "otlp")
}).pipe(
  Config.map(({ disabled, exporters }) =>
    disabled || !exporters.split(",").some((exporter) => exporter.trim().toLowerCase() === "otlp")
  )
)

/** Nothing where there is no endpoint, or traces are not to be exported. */
export const fromEnv: Config.Config<FromEnv | undefined> = Config.flatMap(isOff, (off) =>
  off
    ? Config.succeed<FromEnv | undefined>(undefined)
    : Config.map(settings, ({ url, ...others }) => url === undefined ? undefined : { url, ...others }))
