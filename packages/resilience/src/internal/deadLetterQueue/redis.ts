/**
 * The scripts of the Redis store. Each is one atomic step, and all keys of a queue share its hash tag, so that each step
 * runs on one node of a cluster. `KEYS[1]` is the queue's own name; below it are
 *
 * - `:seq` the latest number, `:dedupe` a hash of dedupe keys, `:l:<id>` a hash a letter
 * - `:i` and `:i:<state>` ids by number
 * - `:g:<state>|<kind>|<fingerprint>` ids by the time of the failure, `:groups` which of these there are
 */
import * as Redis from "effect/persistence/Redis"
import type { Row } from "./store.ts"

const shared = `
local base = KEYS[1]
local function letter(id) return base .. ':l:' .. id end
local function group(state, kind, fp) return state .. '|' .. kind .. '|' .. fp end
local function enter(id, seq, state, kind, fp, failedAt, dedupe)
  redis.call('ZADD', base .. ':i', seq, id)
  redis.call('ZADD', base .. ':i:' .. state, seq, id)
  local g = group(state, kind, fp)
  redis.call('ZADD', base .. ':g:' .. g, failedAt, id)
  redis.call('SADD', base .. ':groups', g)
  if dedupe ~= '' then redis.call('HSET', base .. ':dedupe', dedupe, id) end
end
local function leave(id, state, kind, fp, dedupe)
  redis.call('ZREM', base .. ':i', id)
  redis.call('ZREM', base .. ':i:' .. state, id)
  local g = group(state, kind, fp)
  redis.call('ZREM', base .. ':g:' .. g, id)
  if redis.call('EXISTS', base .. ':g:' .. g) == 0 then redis.call('SREM', base .. ':groups', g) end
  if dedupe ~= '' then redis.call('HDEL', base .. ':dedupe', dedupe) end
end
`

const columns = (row: Omit<Row, "seq" | "version">) => [
  row.id,
  row.state,
  row.kind,
  row.fingerprint,
  row.failedAt,
  // A prefix tells an empty key from none.
  row.dedupeKey === undefined ? "" : `=${row.dedupeKey}`,
  row.meta,
  row.body
]

export const insert = Redis.script(
  (base: string, row: Omit<Row, "seq" | "version">) => [base, ...columns(row)],
  {
    numberOfKeys: 1,
    lua: `${shared}
local id, state, kind, fp, failedAt, dedupe, meta, body = unpack(ARGV)
if redis.call('EXISTS', letter(id)) == 1 then return {0, id} end
if dedupe ~= '' then
  local other = redis.call('HGET', base .. ':dedupe', dedupe)
  if other then return {0, other} end
end
local seq = redis.call('INCR', base .. ':seq')
redis.call('HSET', letter(id), 'seq', seq, 'version', 1, 'state', state, 'kind', kind, 'fp', fp,
  'failedAt', failedAt, 'dedupe', dedupe, 'meta', meta, 'body', body)
enter(id, seq, state, kind, fp, failedAt, dedupe)
return {1, seq}`
  }
).withReturnType<readonly [0, string] | readonly [1, number]>()

export const replace = Redis.script(
  (base: string, row: Row, expected: number) => [base, expected, ...columns(row)],
  {
    numberOfKeys: 1,
    lua: `${shared}
local expected, id, state, kind, fp, failedAt, dedupe, meta, body = unpack(ARGV)
local old = redis.call('HMGET', letter(id), 'version', 'seq', 'state', 'kind', 'fp', 'dedupe')
if old[1] ~= expected then return 0 end
leave(id, old[3], old[4], old[5], old[6])
redis.call('HSET', letter(id), 'version', tonumber(expected) + 1, 'state', state, 'kind', kind, 'fp', fp,
  'failedAt', failedAt, 'dedupe', dedupe, 'meta', meta, 'body', body)
enter(id, old[2], state, kind, fp, failedAt, dedupe)
return 1`
  }
).withReturnType<0 | 1>()

export const remove = Redis.script(
  (base: string, id: string, expected: number) => [base, id, expected],
  {
    numberOfKeys: 1,
    lua: `${shared}
local id, expected = unpack(ARGV)
local old = redis.call('HMGET', letter(id), 'version', 'state', 'kind', 'fp', 'dedupe')
if old[1] ~= expected then return 0 end
leave(id, old[2], old[3], old[4], old[5])
redis.call('DEL', letter(id))
return 1`
  }
).withReturnType<0 | 1>()

/** Its columns in this order, all of them texts. */
export type Fields = readonly [
  id: string,
  seq: string,
  version: string,
  state: string,
  kind: string,
  fingerprint: string,
  failedAt: string,
  dedupe: string,
  meta: string,
  body?: string
]

export const get = Redis.script(
  (base: string, id: string) => [base, id],
  {
    numberOfKeys: 1,
    lua: `${shared}
local id = ARGV[1]
local f = redis.call('HMGET', letter(id), 'seq', 'version', 'state', 'kind', 'fp', 'failedAt', 'dedupe', 'meta', 'body')
if not f[1] then return {} end
table.insert(f, 1, id)
return f`
  }
).withReturnType<Fields | readonly []>()

/** What a step of `scan` and of `count` filters by; an empty list is anything, `-` stands for nothing. */
export interface Sieve {
  readonly kinds: string
  readonly fingerprints: string
  readonly failedFrom: string
  readonly failedBefore: string
  readonly seqUntil: string
}

const sieve = `
local function among(list, value)
  return list == '' or string.find(list, ',' .. value .. ',', 1, true) ~= nil
end
`

/**
 * Up to `chunk` ids of one index: those that pass, and the number after which to go on, or -1 at the end. Small steps, so
 * that Redis serves others in between.
 */
export const scan = Redis.script(
  (base: string, index: string, order: "oldest" | "newest", after: string, chunk: number, limit: number, by: Sieve) => [
    base,
    index,
    order,
    after,
    chunk,
    limit,
    by.kinds,
    by.fingerprints,
    by.failedFrom,
    by.failedBefore,
    by.seqUntil
  ],
  {
    numberOfKeys: 1,
    lua: `${shared}${sieve}
local index, order, after, chunk, limit, kinds, fps, from, before, untilSeq = unpack(ARGV)
local ids
if order == 'oldest' then
  ids = redis.call('ZRANGEBYSCORE', base .. index, after == '' and '-inf' or '(' .. after, untilSeq, 'LIMIT', 0, chunk)
else
  local top = untilSeq
  if after ~= '' and (untilSeq == '+inf' or tonumber(after) <= tonumber(untilSeq)) then top = '(' .. after end
  ids = redis.call('ZREVRANGEBYSCORE', base .. index, top, '-inf', 'LIMIT', 0, chunk)
end
local found = {}
local last = -1
for _, id in ipairs(ids) do
  local f = redis.call('HMGET', letter(id), 'seq', 'version', 'state', 'kind', 'fp', 'failedAt', 'dedupe', 'meta')
  if f[1] then
    last = f[1]
    local t = tonumber(f[6])
    if among(kinds, f[4]) and among(fps, f[5]) and (from == '' or t >= tonumber(from))
      and (before == '' or t < tonumber(before)) then
      table.insert(f, 1, id)
      table.insert(found, f)
      if #found >= tonumber(limit) then break end
    end
  end
end
if #ids < tonumber(chunk) and #found < tonumber(limit) then last = -1 end
return {tostring(last), found}`
  }
).withReturnType<readonly [string, ReadonlyArray<Fields>]>()

/** For each group that there is: its name, how many failed in this time, the first and the last of them. */
export const groups = Redis.script(
  (base: string, failedFrom: string, failedBefore: string) => [base, failedFrom, failedBefore],
  {
    numberOfKeys: 1,
    lua: `${shared}
local from = ARGV[1] == '' and '-inf' or ARGV[1]
local before = ARGV[2] == '' and '+inf' or '(' .. ARGV[2]
local all = {}
for _, g in ipairs(redis.call('SMEMBERS', base .. ':groups')) do
  local key = base .. ':g:' .. g
  local n = redis.call('ZCOUNT', key, from, before)
  if n > 0 then
    local first = redis.call('ZRANGEBYSCORE', key, from, before, 'WITHSCORES', 'LIMIT', 0, 1)
    local last = redis.call('ZREVRANGEBYSCORE', key, before, from, 'WITHSCORES', 'LIMIT', 0, 1)
    table.insert(all, {g, n, tostring(first[2]), tostring(last[2])})
  end
end
return all`
  }
).withReturnType<ReadonlyArray<readonly [string, number, string, string]>>()
