/** A span that is handed over when it ends, and how OTLP writes it. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import { entriesToAttributes, type KeyValue } from "effect/observability/OtlpResource"
import type { TraceData } from "effect/observability/OtlpTracer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export class ExportedSpan extends Tracer.NativeSpan {
  private readonly onEnd: (span: ExportedSpan) => void

  constructor(options: ConstructorParameters<typeof Tracer.NativeSpan>[0], onEnd: (span: ExportedSpan) => void) {
    super(options)
    this.onEnd = onEnd
  }

  override end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    super.end(endTime, exit)
    this.onEnd(this)
  }
}

export type OtlpSpan = TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

type Event = OtlpSpan["events"][number]

/** Numbers that OTLP has for words. */
const kinds: { readonly [K in Tracer.SpanKind]: number } = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5
}
const statusUnset = 0
const statusOk = 1
const statusError = 2

/** Throws where an attribute cannot be read: what people hang on spans may be anything. */
export const encode = (span: Tracer.NativeSpan): OtlpSpan => {
  const { status } = span
  const endTime = status._tag === "Ended" ? status.endTime : status.startTime
  const { attributes, events, otel } = verdict(status, endTime)
  // These stay undefined while nobody has used them, and reading the public ones would make them.
  const own = span._attributes === undefined ? [] : entriesToAttributes(span._attributes)
  const told = span._events === undefined ? [] : span._events.map(([name, time, attributes]) => {
    return eventOf(name, time, entriesToAttributes(Object.entries(attributes)))
  })
  return {
    traceId: span.traceId.padStart(32, "0"),
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(span.parent)?.spanId,
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: String(status.startTime),
    endTimeUnixNano: String(endTime),
    attributes: own.concat(attributes),
    droppedAttributesCount: 0,
    events: told.concat(events),
    droppedEventsCount: 0,
    status: otel,
    links: span.links.map((link) => ({
      traceId: link.span.traceId.padStart(32, "0"),
      spanId: link.span.spanId,
      attributes: entriesToAttributes(Object.entries(link.attributes)),
      droppedAttributesCount: 0
    })),
    droppedLinksCount: 0
  }
}

interface Verdict {
  readonly otel: OtlpSpan["status"]
  readonly attributes: ReadonlyArray<KeyValue>
  readonly events: ReadonlyArray<Event>
}

/** How it ended, as Effect's own exporter says it: a failure is an `exception` event, an interruption is no error. */
const verdict = (status: Tracer.SpanStatus, endTime: bigint): Verdict => {
  if (status._tag === "Started") return { otel: { code: statusUnset }, attributes: [], events: [] }
  if (status.exit._tag === "Success") return { otel: { code: statusOk }, attributes: [], events: [] }
  if (Cause.hasInterruptsOnly(status.exit.cause)) {
    const attributes = entriesToAttributes([["effect.fiber.interrupted", true]])
    return { otel: { code: statusUnset }, attributes, events: [] }
  }
  const errors = Cause.prettyErrors(status.exit.cause, { includeCauseInStack: true })
  return {
    otel: { code: statusError, ...(errors[0] === undefined ? {} : { message: errors[0].message }) },
    attributes: [],
    events: errors.map(({ message, name, stack }) =>
      eventOf(
        "exception",
        endTime,
        entriesToAttributes([
          ["exception.type", name],
          ["exception.message", message],
          ...(stack === undefined ? [] : [["exception.stacktrace", stack] as [string, unknown]])
        ])
      )
    )
  }
}

const eventOf = (name: string, time: bigint, attributes: Array<KeyValue>): Event => ({
  name,
  timeUnixNano: String(time),
  attributes,
  droppedAttributesCount: 0
})
