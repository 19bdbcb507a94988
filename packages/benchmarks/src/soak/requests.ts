/** What callers do to the agent server: talk, type, leave early, send nonsense, look after it. */

/** The keys that the server is started with. */
export const keys = { caller: "a-key-for-the-soak", admin: "an-admin-key-for-the-soak" } as const

/**
 * What came of a request.
 *
 * - `answered`: with what was asked for
 * - `refused`: it was bad, and is told so
 * - `failed`: the server could not, and says why
 * - `left`: by its caller
 */
export type Outcome = "answered" | "refused" | "failed" | "left"

/** Something that no server may do: an answer that does not fit the request, or none. */
class Unexpected extends Error {
  override readonly name = "Unexpected"
}

/** A conversation that a caller may go on with. */
interface Session {
  readonly id: string
  readonly agent: string
  /** Which conversation it is, of those that are held again and again. */
  readonly script: number
  turns: number
}

/** Callers of a server. Their sessions are bounded in number and length. */
export interface Callers {
  /** Sends a request of some kind. Fails with what no server may do. */
  readonly next: () => Promise<Outcome>
}

const agents = ["travel_planner", "viva_examiner"]
const maxSessions = 200
const maxTurns = 10

/**
 * How many conversations there are. They are held again and again, so that the server's cache of replies, which is bounded, has soon
 * what it will ever have. Names and ids, which a server should not remember, never come again.
 */
const scripts = 50

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Numbers that look like chance and are the same each time (Park and Miller's generator). */
const chance = () => {
  let state = 20_261_121
  return (below: number): number => {
    state = state * 48_271 % 2_147_483_647
    return state % below
  }
}

/** Half a second of a tone, as a WAV file: 16 bits, 16,000 samples a second. */
const recording: Uint8Array<ArrayBuffer> = (() => {
  const sampleRate = 16_000
  const samples = sampleRate / 2
  const bytes = Buffer.alloc(44 + samples * 2)
  bytes.write("RIFF", 0)
  bytes.writeUInt32LE(bytes.length - 8, 4)
  bytes.write("WAVEfmt ", 8)
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(1, 22)
  bytes.writeUInt32LE(sampleRate, 24)
  bytes.writeUInt32LE(sampleRate * 2, 28)
  bytes.writeUInt16LE(2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write("data", 36)
  bytes.writeUInt32LE(samples * 2, 40)
  for (let at = 0; at < samples; at++) bytes.writeInt16LE(8000 * Math.sin(at / 12), 44 + at * 2)
  return new Uint8Array(bytes)
})()

const key = { "x-api-key": keys.caller }
const asJson = { ...key, "content-type": "application/json" }

const isProblem = ({ headers }: Reply): boolean =>
  headers.get("content-type")?.startsWith("application/problem+json") === true

const unexpected = (what: string, { status, text }: Reply): never => {
  throw new Unexpected(`${what}: ${status} ${text.slice(-300)}`)
}

/** Statuses by which the server says that it, or somebody behind it, could not. 500 is not among them. */
const failures: ReadonlySet<number> = new Set([409, 429, 502, 503, 504])

/** What a turn came to: what was asked for, or a problem that says why not. */
const ofTurn = (what: string, reply: Reply): Outcome => {
  if (reply.status === 200) return "answered"
  return failures.has(reply.status) && isProblem(reply) ? "failed" : unexpected(what, reply)
}

/** The same of a stream, which tells in its last event. */
const ofStream = (what: string, reply: Reply): Outcome => {
  if (reply.status !== 200) return ofTurn(what, reply)
  const last = reply.text.trimEnd().split("\n\n").at(-1) ?? ""
  if (last.startsWith("event: done")) return "answered"
  return last.startsWith("event: error") ? "failed" : unexpected(what, reply)
}

/** Callers of the server there. */
export const callers = (origin: string): Callers => {
  const draw = chance()
  const sessions: Array<Session> = []
  let bad = 0
  let named = 0

  /** A server that has not answered after two minutes never will: its own limit is one. */
  const send = async (path: string, init: RequestInit = {}, leaveAfter?: number): Promise<Reply> => {
    const signal = AbortSignal.timeout(leaveAfter ?? 120_000)
    const response = await fetch(`${origin}${path}`, { ...init, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  const message = (script = draw(scripts), turn = 0) =>
    `Tell me about place ${script * maxTurns + turn}, how to get there, and what a child of seven would like.`

  const chat = (agent: string, body: object, headers: Readonly<Record<string, string>> = {}, leaveAfter?: number) =>
    send(
      `/v1/agents/${agent}/chat`,
      { method: "POST", headers: { ...asJson, ...headers }, body: JSON.stringify({ message: message(), ...body }) },
      leaveAfter
    )

  const someAgent = () => agents[draw(agents.length)]!

  /** Puts a session back for another turn; one that is long enough, or one too many, is deleted. */
  const giveBack = async (session: Session): Promise<void> => {
    if (session.turns < maxTurns && sessions.length < maxSessions) {
      sessions.push(session)
      return
    }
    const reply = await send(`/v1/sessions/${session.id}`, { method: "DELETE", headers: key })
    if (reply.status !== 204 && reply.status !== 404) unexpected("deleting a session", reply)
  }

  /** Of a reply or of the events of one. */
  const sessionIn = (text: string): string | undefined => /"session_id":"([^"]+)"/.exec(text)?.[1]

  const turn = async (stream: boolean, goesOn: boolean): Promise<Outcome> => {
    const session = goesOn && sessions.length > 0 ? sessions.splice(draw(sessions.length), 1)[0] : undefined
    const agent = session?.agent ?? someAgent()
    const script = session?.script ?? draw(scripts)
    const reply = await chat(agent, {
      message: message(script, session?.turns),
      stream,
      ...(session === undefined ? {} : { session_id: session.id })
    })
    const id = sessionIn(reply.text)
    const outcome = stream ? ofStream("a streamed chat", reply) : ofTurn("a chat", reply)
    if (outcome === "answered" && id !== undefined) {
      await giveBack({ id, agent, script, turns: (session?.turns ?? 0) + 1 })
    } else if (session !== undefined) await giveBack(session)
    return outcome
  }

  const voice = async (stream: boolean): Promise<Outcome> => {
    const reply = await send("/v1/speech_to_speech", {
      method: "POST",
      headers: { ...key, "content-type": "audio/wav", ...(stream ? { accept: "text/event-stream" } : {}) },
      body: recording
    })
    const outcome = stream ? ofStream("a streamed voice turn", reply) : ofTurn("a voice turn", reply)
    const id = sessionIn(reply.text)
    if (outcome === "answered" && id !== undefined) {
      await send(`/v1/sessions/${id}`, { method: "DELETE", headers: key })
    }
    return outcome
  }

  /** Before the reply, or in the middle of it. */
  const leave = async (stream: boolean): Promise<Outcome> => {
    try {
      const reply = await chat(someAgent(), { stream }, {}, 5 + draw(120))
      return stream ? ofStream("a short streamed chat", reply) : ofTurn("a short chat", reply)
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") return "left"
      throw error
    }
  }

  const chatPath = "/v1/agents/travel_planner/chat"
  const post = (path: string, body: string, headers: Record<string, string> = asJson): [string, RequestInit] => [
    path,
    { method: "POST", headers, body }
  ]

  const badRequests: ReadonlyArray<readonly [status: number, make: () => [string, RequestInit]]> = [
    [400, () => post(chatPath, "{\"message\":")],
    [400, () => post(chatPath, "{\"message\":\"\",\"stream\":3}")],
    [401, () => post(chatPath, "{\"message\":\"hi\"}", { ...asJson, "x-api-key": `nobody-${bad}` })],
    [404, () => post(`/v1/agents/nobody-${bad}/chat`, "{\"message\":\"hi\"}")],
    [404, () => post(chatPath, `{"message":"hi","session_id":"none-${bad}"}`)],
    [404, () => [`/nothing/at/${bad}`, { headers: key }]],
    [405, () => [chatPath, { method: "DELETE", headers: key }]],
    [413, () => post(chatPath, JSON.stringify({ message: "long ".repeat(2000) }))],
    [415, () => post(chatPath, "hi", { ...key, "content-type": "text/plain" })],
    [422, () => post("/v1/speech_to_speech", "not a recording", { ...key, "content-type": "audio/wav" })]
  ]

  const badRequest = async (): Promise<Outcome> => {
    const [status, make] = badRequests[bad++ % badRequests.length]!
    const [path, init] = make()
    const reply = await send(path, init)
    return reply.status === status && isProblem(reply)
      ? "refused"
      : unexpected(`${init.method ?? "GET"} ${path}, which should be refused with ${status}`, reply)
  }

  /** Once, and again under the same name. */
  const twice = async (): Promise<Outcome> => {
    const body = { message: message() }
    const headers = { "idempotency-key": `soak-${named++}` }
    const first = await chat("travel_planner", body, headers)
    const outcome = ofTurn("a named chat", first)
    const second = await chat("travel_planner", body, headers)
    if (outcome === "answered" && second.status !== 200) unexpected("a named chat, again", second)
    const id = sessionIn(second.text) ?? sessionIn(first.text)
    if (id !== undefined) await send(`/v1/sessions/${id}`, { method: "DELETE", headers: key })
    return ofTurn("a named chat, again", second)
  }

  /** Probes may say that something is unwell; they do answer. */
  const look = async (path: string, statuses: ReadonlyArray<number> = [200]): Promise<Outcome> => {
    const reply = await send(path, { headers: key })
    return statuses.includes(reply.status) ? "answered" : unexpected(path, reply)
  }

  const aSession = () =>
    sessions.length === 0
      ? look("/v1/agents")
      // Another caller may delete it in the same moment.
      : look(`/v1/sessions/${sessions[draw(sessions.length)]!.id}`, [200, 404])

  const kinds: ReadonlyArray<readonly [share: number, send: () => Promise<Outcome>]> = [
    [14, () => turn(false, false)],
    [20, () => turn(false, true)],
    [10, () => turn(true, false)],
    [16, () => turn(true, true)],
    [3, () => voice(false)],
    [3, () => voice(true)],
    [3, () => leave(false)],
    [6, () => leave(true)],
    [10, badRequest],
    [5, twice],
    [2, () => look("/metrics")],
    [2, () => look("/health/live")],
    [2, () => look("/health/ready", [200, 503])],
    [1, () => look("/api/v1/monitoring/status", [200, 503])],
    [1, () => look("/v1/agents")],
    [2, aSession]
  ]
  const total = kinds.reduce((sum, [share]) => sum + share, 0)

  return {
    next: () => {
      let at = draw(total)
      return kinds.find(([share]) => (at -= share) < 0)![1]()
    }
  }
}
