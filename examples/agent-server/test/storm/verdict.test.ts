/** When a storm was weathered, and when it was not. */
import { describe, expect, it } from "@effect/vitest"
import type { Outcome, Result } from "../../src/storm/client.ts"
import * as Plan from "../../src/storm/plan.ts"
import * as render from "../../src/storm/render.ts"
import { complaintsAbout, type Message } from "../../src/storm/stored.ts"
import { type Facts, judge, quantile, type Row } from "../../src/storm/verdict.ts"

const plan = Plan.make({ seed: 1, chats: 1_000, outageSeconds: 3, instances: 2 })

type Answered = Extract<Result, { readonly _tag: "Answered" }>

const answered = (index: number, more: Partial<Answered> = {}): Answered => ({
  _tag: "Answered",
  sessionId: `session-${index}`,
  reply: `reply ${index}`,
  route: "gpt-4o",
  degraded: false,
  attempts: 1,
  tokens: 100,
  letterId: undefined,
  agrees: undefined,
  ...more
})

const failed = (letterId?: string): Result => ({
  _tag: "Failed",
  status: 504,
  code: "deadline_exceeded",
  letterId,
  sessionId: letterId === undefined ? undefined : `session-of-${letterId}`
})

const apology = (index: number) => answered(index, { route: "static", degraded: true, letterId: `letter-${index}` })

/** All chats, each with what it came to. */
const outcomesOf = (result: (index: number) => Result): ReadonlyArray<Outcome> =>
  plan.chats.map((chat) => ({ chat, millis: chat.index, result: result(chat.index) }))

const messages = (said: string, replied: string, route = "gpt-4o"): ReadonlyArray<Message> => [
  { role: "user", content: said },
  { role: "assistant", content: replied, served: { route } }
]

/** What is stored where everything went well, letters redriven. */
const storedFor = (outcomes: ReadonlyArray<Outcome>): Facts["sessions"] =>
  new Map(outcomes.flatMap(({ chat, result }) => {
    if (result._tag === "Answered") return [[result.sessionId, messages(chat.message, result.reply)] as const]
    if (result._tag !== "Failed" || result.sessionId === undefined) return []
    return [[result.sessionId, messages(chat.message, "late")] as const]
  }))

const tokens = (prompt: number, completion: number) => ({ prompt, completion })

const factsOf = (outcomes: ReadonlyArray<Outcome>, more: Partial<Facts> = {}): Facts => ({
  plan,
  outcomes,
  sessions: storedFor(outcomes),
  letters: { total: 20, redriven: 20 },
  books: [{ route: "gpt-4o", ours: tokens(10, 20), theirs: tokens(10, 20) }],
  redis: { _tag: "Done", what: "away" },
  restarts: { _tag: "Done", what: "2 of 2" },
  outageMillis: 3_000,
  millis: 10_000,
  ...more
})

const isLast = (index: number) => index >= plan.squall

/** A storm in which everything went well but for these. */
const stormWith = (result: (index: number) => Result | undefined, more?: Partial<Facts>) =>
  judge(factsOf(outcomesOf((index) => result(index) ?? (isLast(index) ? apology(index) : answered(index))), more))

const missed = ({ rows }: { readonly rows: ReadonlyArray<Row> }) =>
  rows.filter(({ standing }) => standing === "Missed").map(({ name }) => name)

const inOutage = plan.chats.filter(({ index }) => Plan.isInOutage(plan, index)).map(({ index }) => index)

describe("FB-9 the verdict", () => {
  it("of a storm that did nothing is that all was reached", () => {
    const verdict = stormWith(() => undefined)
    expect([verdict.passed, missed(verdict)]).toEqual([true, []])
  })

  it("wants 90 % served by a model while the primary is away", () => {
    const allowed = new Set(inOutage.slice(0, Math.floor(inOutage.length / 10)))
    const canned = (indexes: ReadonlySet<number>) =>
      stormWith((index) =>
        indexes.has(index)
          ? answered(index, { route: "cache", degraded: true })
          // Enough that recovered, so that it is about this row alone.
          : isLast(index)
          ? undefined
          : answered(index, { attempts: 2 })
      )
    const name = "served while the primary was away"
    expect(missed(canned(allowed))).toEqual([])
    expect(missed(canned(new Set([...allowed, inOutage.at(-1) ?? 0])))).toEqual([name])
  })

  it("wants 95 % of those that met an error answered by a model", () => {
    const of100 = (bad: number) =>
      stormWith((index) =>
        index < bad
          ? answered(index, { route: "cache", degraded: true })
          : index < 100
          ? answered(index, { attempts: 3 })
          : undefined
      )
    expect(missed(of100(5))).toEqual([])
    expect(missed(of100(6))).toEqual(["recovered of those that met an error"])
  })

  it("wants fewer than 5 % dead letters", () => {
    const some = (bad: number) =>
      stormWith((index) => index < bad ? apology(index) : isLast(index) ? undefined : answered(index, { attempts: 2 }))
    expect(missed(some(49))).toEqual([])
    expect(missed(some(50))).toEqual(["dead-lettered"])
  })

  it("wants fewer than 1 % errors that users see, of a problem or of nothing at all", () => {
    for (const bad of [failed(), failed("1"), { _tag: "Lost", reason: "reset" } as const]) {
      const some = (count: number) =>
        stormWith((index) => index < count ? bad : isLast(index) ? undefined : answered(index, { attempts: 2 }))
      expect(missed(some(9)).filter((name) => name === "user-visible errors")).toEqual([])
      expect(missed(some(10))).toContain("user-visible errors")
    }
  })

  it("leaves clients that left, and bad requests, out of all shares", () => {
    const verdict = stormWith((index) =>
      index < 500 ? { _tag: "Left" } : index < 600 ? { _tag: "Refused", status: 400, asItShould: true } : undefined
    )
    expect(verdict.rows.find(({ name }) => name.startsWith("work"))?.figure).toBe("400")
    expect(missed(verdict)).toEqual([])
  })

  it("wants every bad request refused as it should be, and one reply to what is sent twice", () => {
    const served = stormWith((index) => index === 3 ? { _tag: "Refused", status: 500, asItShould: false } : undefined)
    expect(missed(served)).toEqual(["bad requests refused"])
    const differs = stormWith((index) => index === 3 ? answered(index, { agrees: false }) : undefined)
    expect(missed(differs)).toEqual(["sent twice, the same reply"])
  })

  it("wants a letter of each turn that no model answered, and each redriven", () => {
    expect(missed(stormWith((index) => index === plan.squall ? answered(index) : undefined))).toEqual([
      "no model at all: kept as letters"
    ])
    expect(missed(stormWith(() => undefined, { letters: { total: 20, redriven: 19 } }))).toEqual(["letters redriven"])
  })

  it("marks what was not done, and does not take it for reached", () => {
    const verdict = stormWith(() => undefined, { redis: { _tag: "NotRun", why: "redis-server is not installed" } })
    expect(verdict.passed).toBe(true)
    expect(verdict.rows.find(({ name }) => name === "Redis restart")?.standing).toBe("NotRun")
    expect(render.verdict(verdict).join("\n")).toMatch(/Redis restart +redis-server is not installed +NOT RUN/)
  })
})

describe("the ledger of a storm", () => {
  const name = "ledger: providers' tokens less ours"
  const book = (ours: number, theirs: number) => [
    { route: "gpt-4o", ours: tokens(0, ours), theirs: tokens(0, theirs) },
    { route: "gpt-4o-mini", ours: tokens(10, 10), theirs: tokens(10, 10) }
  ]
  const leaving = (left: number, books: Facts["books"]) =>
    stormWith((index) => index < left ? { _tag: "Left" } : undefined, { books })

  it("has to be exact where no client left", () => {
    expect(missed(leaving(0, book(50, 50)))).toEqual([])
    expect(missed(leaving(0, book(50, 51)))).toEqual([name])
  })

  it("may lack what clients left behind, a call each, and never has too much", () => {
    expect(missed(leaving(2, book(50, 250)))).toEqual([])
    expect(missed(leaving(2, book(50, 251)))).toEqual([name])
    expect(missed(leaving(2, book(51, 50)))).toEqual([name])
  })

  it("is missed where an instance ended before it was asked", () => {
    expect(missed(leaving(2, undefined))).toEqual([name])
  })
})

describe("what is stored after a storm", () => {
  const [first] = plan.chats
  const outcome = (chat: Plan.Chat | undefined, result: Result): ReadonlyArray<Outcome> =>
    chat === undefined ? [] : [{ chat, result, millis: 1 }]
  const said = first?.message ?? ""
  const about = (result: Result, sessions: ReadonlyArray<readonly [string, ReadonlyArray<Message>]>) =>
    complaintsAbout({ outcomes: outcome(first, result), sessions: new Map(sessions) })

  it("is every acknowledged turn, with the reply that its client got", () => {
    expect(about(answered(0), [["session-0", messages(said, "reply 0")]])).toEqual([])
    expect(about(answered(0), [["session-0", []]])).toEqual([
      "chat 0 was answered, and is not in its session session-0"
    ])
    expect(about(answered(0), [["session-0", messages(said, "another")]])).toEqual([
      "chat 0 is stored with another reply than its client got"
    ])
    expect(about(answered(0), [["session-1", messages(said, "reply 0")]])).toEqual([
      "chat 0 was answered in session-0, and is in another session"
    ])
  })

  it("is nothing twice, of one that was answered as of one whose client left", () => {
    const twice = [...messages(said, "reply 0"), ...messages(said, "reply 0")]
    for (const result of [answered(0), { _tag: "Left" } as const]) {
      expect(about(result, [["session-0", twice]])).toEqual(["chat 0 is stored 2 times"])
    }
    expect(about({ _tag: "Left" }, [["session-0", messages(said, "reply 0")]])).toEqual([])
  })

  it("is a model's reply to each letter, whatever its client was told", () => {
    for (const result of [apology(0), failed("1")]) {
      expect(about(result, [["session-0", messages(said, "at last")]])).toEqual([])
      expect(about(result, []).length).toBe(1)
      expect(about(result, [["session-0", messages(said, "sorry", "static")]])).toEqual([
        "chat 0 was redriven, and still has an apology"
      ])
    }
  })
})

describe("quantiles", () => {
  it("are values that there are", () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2)
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
    expect(quantile([], 0.5)).toBe(0)
  })
})
