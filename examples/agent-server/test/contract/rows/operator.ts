/** `/admin/*`: circuits, chains, dead letters, profiles. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json } from "../../support/client.ts"
import { providers } from "../../support/simulated.ts"
import { ask, askAsOperator, exactly, refused, replied, say, streamed } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { broken, models } from "../broken.ts"
import { type Section } from "../kit.ts"

const fields = (problem: { readonly errors: ReadonlyArray<{ readonly in: string; readonly path: string }> }) =>
  problem.errors.map((each) => `${each.in} ${each.path}`).toSorted()

export const circuits: Section = {
  "GET circuit-breakers shows every provider's circuit": Effect.gen(function*() {
    const reply = yield* askAsOperator("GET /admin/circuit-breakers")
    const { circuit_breakers } = replied(reply, 200, Bodies.Circuits)
    expect(circuit_breakers.map(({ name }) => name)).toEqual(providers)
    expect(reply.headers.get("cache-control")).toBe("no-store")
  }),

  "open, close, release and reset answer with the circuit as it is then": Effect.ensuring(
    Effect.gen(function*() {
      const path = "/admin/circuit-breakers/llm-secondary"
      for (
        const [command, state] of [
          ["open", "ForcedOpen"],
          ["close", "ForcedClosed"],
          ["release", "Closed"],
          ["open", "ForcedOpen"],
          ["release", "HalfOpen"],
          ["reset", "Closed"]
        ] as const
      ) {
        const circuit = replied(yield* askAsOperator(`POST ${path}/${command}`), 200, Bodies.Circuit)
        expect([circuit.name, command, circuit.state]).toEqual(["llm-secondary", command, state])
      }
    }),
    askAsOperator("POST /admin/circuit-breakers/llm-secondary/reset")
  ),

  "a circuit that is forced open lets no call through, whoever waits for it": Effect.ensuring(
    Effect.gen(function*() {
      yield* askAsOperator("POST /admin/circuit-breakers/llm-primary/open")
      expect(json(yield* say({ message: "Obidos" })).served).toEqual({
        route: "gpt-4o-mini",
        degraded: true,
        attempts: 1
      })
    }),
    askAsOperator("POST /admin/circuit-breakers/llm-primary/reset")
  ),

  "?key= is another circuit of the same breaker": Effect.ensuring(
    Effect.gen(function*() {
      const path = "/admin/circuit-breakers/llm-primary"
      const other = replied(yield* askAsOperator(`POST ${path}/open?key=other`), 200, Bodies.Circuit)
      expect([other.key, other.state]).toEqual(["other", "ForcedOpen"])
      expect(json(yield* say({ message: "hi" })).served.route).toBe("gpt-4o")
      const { errors } = refused(yield* askAsOperator(`POST ${path}/open?key=&kye=a`), 400, "invalid_request")
      expect(errors.map((each: { path: string }) => each.path).toSorted()).toEqual(["key", "kye"])
    }),
    askAsOperator("POST /admin/circuit-breakers/llm-primary/reset?key=other")
  ),

  "a circuit that there is not is 404, and the others are named": Effect.gen(function*() {
    const reply = yield* askAsOperator("POST /admin/circuit-breakers/llm-tertiary/open")
    expect(refused(reply, 404, "circuit_breaker_not_found").message).toContain("llm-primary")
  }),

  "GET fallback-chains shows each route and what it was used for; reset knows which there are": Effect.gen(function*() {
    const { fallback_chains } = replied(yield* askAsOperator("GET /admin/fallback-chains"), 200, Bodies.FallbackChains)
    expect(fallback_chains.map(({ name, routes }) => [name, routes.map(({ route }) => route)])).toEqual([
      ["llm", ["gpt-4o", "gpt-4o-mini", "claude-haiku"]],
      ["stt", ["stt-primary", "stt-backup"]],
      ["tts", ["tts-primary", "tts-backup"]]
    ])
    for (const path of ["llm/routes/gpt-4o", "stt/routes/stt-backup"]) {
      expect((yield* askAsOperator(`POST /admin/fallback-chains/${path}/reset`)).status).toBe(204)
    }
    for (const path of ["llm/routes/gpt-5", "tts/routes/gpt-4o", "none/routes/gpt-4o"]) {
      refused(yield* askAsOperator(`POST /admin/fallback-chains/${path}/reset`), 404, "fallback_route_not_found")
    }
  })
}

/** A turn that no model answers, and its letter. */
const deadTurn = (message: string) =>
  broken(
    models({ down: true }),
    Effect.map(say({ message }), (reply) => {
      const { letter_id = "", session_id } = replied(reply, 200, Bodies.ChatReply)
      return { id: letter_id, session: session_id }
    })
  )

export const deadLetters: Section = {
  "GET dlq lists letters page by page, with filters": Effect.gen(function*() {
    const [one, two] = [yield* deadTurn("Nazare, by bus"), yield* deadTurn("Nazare, by car")]
    const reply = yield* askAsOperator("GET /admin/dlq?state=Dead&limit=1&order=oldest&newer_than=1%20hour")
    const first = replied(reply, 200, Bodies.Letters)
    expect([first.letters.length, reply.headers.get("cache-control")]).toEqual([1, "no-store"])
    const ids = [first.letters[0]?.id]
    for (let { cursor } = first; cursor !== null;) {
      const next = replied(
        yield* askAsOperator(`GET /admin/dlq?state=Dead&limit=1&cursor=${encodeURIComponent(cursor)}`),
        200,
        Bodies.Letters
      )
      ids.push(...next.letters.map(({ id }) => id))
      cursor = next.cursor
    }
    expect(ids).toEqual(expect.arrayContaining([one.id, two.id]))
    expect(new Set(ids).size).toBe(ids.length)
    const none = replied(yield* askAsOperator("GET /admin/dlq?state=Quarantined"), 200, Bodies.Letters)
    expect(none).toEqual({ letters: [], cursor: null })
  }),

  "GET dlq names every parameter that is wrong": Effect.gen(function*() {
    const reply = yield* askAsOperator("GET /admin/dlq?state=Gone&limit=0&older_than=soon&odrer=newest")
    expect(fields(refused(reply, 400, "invalid_request"))).toEqual([
      "query limit",
      "query odrer",
      "query older_than",
      "query state.0"
    ])
  }),

  "GET dlq/{id} opens a letter; one that there is not is 404": Effect.gen(function*() {
    const { id } = yield* deadTurn("Aveiro, by boat")
    const letter = replied(yield* askAsOperator(`GET /admin/dlq/${id}`), 200, Bodies.OpenedLetter)
    expect([letter.id, letter.state, letter.unreadable]).toEqual([id, "Dead", null])
    expect(JSON.stringify(letter.payload)).toContain("Aveiro, by boat")
    refused(yield* askAsOperator("GET /admin/dlq/none"), 404, "letter_not_found")
  }),

  "POST dlq/redrive looks first, if asked to, and then completes the turn in its session": Effect.gen(function*() {
    const { id, session } = yield* deadTurn("Lagos, on foot")
    const dry = replied(
      yield* askAsOperator("POST /admin/dlq/redrive", { body: { ids: [id], dry_run: true } }),
      200,
      Bodies.RedriveReport
    )
    expect([dry.dry_run, dry.counts.due, dry.letters[0]?.outcome]).toEqual([true, 1, "due"])
    const done = replied(
      yield* askAsOperator("POST /admin/dlq/redrive", { body: { ids: [id] } }),
      200,
      Bodies.RedriveReport
    )
    expect([done.counts.redriven, done.letters.map(({ outcome }) => outcome)]).toEqual([1, ["redriven"]])
    const { messages } = exactly(Bodies.Session, json(yield* ask(`GET /v1/sessions/${session}`)))
    expect(messages.map(({ content }) => content)).toEqual([
      "Lagos, on foot",
      expect.stringContaining("Lagos, on foot")
    ])
  }),

  "POST dlq/redrive of a filter streams start, progress and done": Effect.gen(function*() {
    yield* deadTurn("Tavira, by train")
    const asked = [
      { body: { filter: { state: ["Dead"] }, stream: true, rate: 1000 } },
      { body: { filter: { state: ["Dead"] } }, headers: { accept: "text/event-stream" } }
    ]
    for (const [index, sending] of asked.entries()) {
      const all = streamed(yield* askAsOperator("POST /admin/dlq/redrive", sending), Bodies.redriveEvents)
      expect([all[0]?.event, all.at(-1)?.event]).toEqual(["start", "done"])
      expect(all.slice(1, -1).every(({ event }) => event === "progress")).toBe(true)
      expect(all.length > 2).toBe(index === 0)
    }
  }),

  "POST dlq/redrive of what it does not understand redrives nothing": Effect.gen(function*() {
    for (
      const body of [{}, { ids: ["a"], filter: {} }, { ids: ["a"], dryrun: true }, { ids: [] }, { ids: ["a"], rate: 0 }]
    ) {
      refused(yield* askAsOperator("POST /admin/dlq/redrive", { body }), 400, "invalid_request")
    }
  }),

  "POST dlq/{id}/discard gives a letter up, once and with a reason": Effect.gen(function*() {
    const { id } = yield* deadTurn("Elvas, by plane")
    refused(yield* askAsOperator(`POST /admin/dlq/${id}/discard`, { body: { reason: " " } }), 400, "invalid_request")
    const letter = replied(
      yield* askAsOperator(`POST /admin/dlq/${id}/discard`, { body: { reason: "no airport" } }),
      200,
      Bodies.Letter
    )
    expect([letter.state, letter.reason?.message]).toEqual(["Discarded", "no airport"])
    const again = yield* askAsOperator(`POST /admin/dlq/${id}/discard`, { body: { reason: "again" } })
    expect(refused(again, 409, "letter_refused").state).toBe("Discarded")
    refused(yield* askAsOperator("POST /admin/dlq/none/discard", { body: { reason: "x" } }), 404, "letter_not_found")
  }),

  "GET dlq/report has the queue in numbers, GET dlq/export every letter as a line": Effect.gen(function*() {
    yield* deadTurn("Guarda, in winter")
    const report = replied(yield* askAsOperator("GET /admin/dlq/report"), 200, Bodies.LetterReport)
    expect(report.total).toBeGreaterThan(0)
    expect(Object.values(report.states).reduce((sum, count) => sum + count)).toBe(report.total)
    const reply = yield* askAsOperator("GET /admin/dlq/export")
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "application/x-ndjson"])
    const lines = reply.text.trimEnd().split("\n").map((line) => exactly(Bodies.ExportedLetter, JSON.parse(line)))
    expect(lines.length).toBe(report.total)
  })
}

export const profiles: Section = {
  "GET profile/cpu?seconds= is a .cpuprofile to keep": Effect.gen(function*() {
    const reply = yield* askAsOperator("GET /admin/profile/cpu?seconds=0.1")
    expect([reply.status, reply.headers.get("cache-control")]).toEqual([200, "no-store"])
    expect(reply.headers.get("content-disposition")).toMatch(/filename="[^"]+\.cpuprofile"/)
    expect(json(reply)).toMatchObject({ nodes: expect.any(Array), startTime: expect.any(Number) })
    for (const seconds of ["0", "soon", "1e9"]) {
      const { errors } = refused(
        yield* askAsOperator(`GET /admin/profile/cpu?seconds=${seconds}`),
        400,
        "invalid_request"
      )
      expect(new Set(errors.map((each: { path: string }) => each.path))).toEqual(new Set(["seconds"]))
    }
  }),

  "GET profile/heap is a .heapsnapshot to keep": Effect.gen(function*() {
    const reply = yield* askAsOperator("GET /admin/profile/heap")
    expect([reply.status, reply.headers.get("cache-control")]).toEqual([200, "no-store"])
    expect(reply.headers.get("content-disposition")).toMatch(/filename="[^"]+\.heapsnapshot"/)
    expect(reply.text.startsWith("{\"snapshot\":")).toBe(true)
  })
}
