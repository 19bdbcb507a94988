/**
 * The machine of `machine.ts` as one Lua script, so that a step is one atomic round trip and all processes agree.
 *
 * A circuit is a hash, and beside it: the leases of the calls that run, the start times of those that are probes, and
 * what the rules remember. The names of all four share a hash tag. A lease that nobody renews lapses, and with it the
 * place of a call whose process is gone. Times are milliseconds of the store's own clock.
 *
 * Every store runs the same random histories as the machine does, against the same model: a change to one of the
 * two is a change to both.
 *
 * `micros` is set by the text before it, to the time in microseconds.
 */
export const machine = `
local key, leases, probes, memory = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local policy = cjson.decode(ARGV[1])
local operation = ARGV[2]
local now = micros / 1000
local moves = {}

local function int(n) return string.format("%.0f", n) end
local function dec(n) return string.format("%.3f", n) end

-- ---------------------------------------------------------------- the circuit

local names = {
  "state", "generation", "permits", "openUntil", "openedFor", "openings", "forgetAt", "succeeded", "failed", "since",
  "signature"
}
local c = {}
local dirty = false
do
  local values = redis.call("HMGET", key, unpack(names))
  for i, name in ipairs(names) do c[name] = values[i] end
  for _, name in ipairs({ "openUntil", "openedFor", "openings", "forgetAt", "succeeded", "failed", "since" }) do
    c[name] = tonumber(c[name]) or 0
  end
  c.permits = tonumber(c.permits) or 0
end

-- Numbers of the clock: one that a key had before it expired is never given out again.
local function nextPermit()
  c.permits = math.max(c.permits + 1, micros)
  dirty = true
  return int(c.permits)
end

if not c.state then
  c.state = "Closed"
  c.signature = policy.signature
  c.generation = nextPermit()
end

local function remember()
  if dirty then
    redis.call(
      "HSET", key, "state", c.state, "generation", c.generation, "permits", int(c.permits), "openUntil", dec(c.openUntil),
      "openedFor", dec(c.openedFor), "openings", c.openings, "forgetAt", dec(c.forgetAt), "succeeded", c.succeeded,
      "failed", c.failed, "since", dec(c.since), "signature", c.signature
    )
  end
  local forced = c.state == "ForcedOpen" or c.state == "ForcedClosed"
  local live = policy.idle + (c.state == "Open" and math.max(0, c.openUntil - now) or 0)
  for _, name in ipairs(KEYS) do
    if forced then redis.call("PERSIST", name) else redis.call("PEXPIRE", name, int(math.ceil(live))) end
  end
end

-- ---------------------------------------------------------------- what the rules remember

local function get(id, field) return tonumber(redis.call("HGET", memory, id .. "|" .. field)) or 0 end
local function set(id, field, value)
  if value == 0 then redis.call("HDEL", memory, id .. "|" .. field)
  else redis.call("HSET", memory, id .. "|" .. field, int(value)) end
end

local function push(rule, bad)
  local calls, nextAt = get(rule.id, "calls"), get(rule.id, "next")
  local badCalls = get(rule.id, "bad") + bad
  if calls == rule.size then badCalls = badCalls - get(rule.id, nextAt) else calls = calls + 1 end
  set(rule.id, "calls", calls)
  set(rule.id, "bad", badCalls)
  set(rule.id, nextAt, bad)
  set(rule.id, "next", (nextAt + 1) % rule.size)
  return calls, badCalls
end

local function part(at, rule) return math.floor(at / rule.width) end

-- The parts of a window of time that still count: lists of their index, calls and bad calls, the oldest first.
local function parts(rule)
  local fields = {}
  for slot = 0, rule.size - 1 do fields[#fields + 1] = rule.id .. "|" .. slot end
  local found = {}
  for _, value in ipairs(redis.call("HMGET", memory, unpack(fields))) do
    if value then
      local index, calls, bad = string.match(value, "^(-?%d+):(%d+):(%d+)$")
      index = tonumber(index)
      if index > part(now, rule) - rule.size then
        found[#found + 1] = { index = index, calls = tonumber(calls), bad = tonumber(bad) }
      end
    end
  end
  table.sort(found, function(a, b) return a.index < b.index end)
  return found
end

local function addPart(rule, index, calls, bad)
  local field = rule.id .. "|" .. (index % rule.size)
  local old = redis.call("HGET", memory, field)
  if old then
    local oldIndex, oldCalls, oldBad = string.match(old, "^(-?%d+):(%d+):(%d+)$")
    if tonumber(oldIndex) == index then calls, bad = calls + tonumber(oldCalls), bad + tonumber(oldBad) end
  end
  redis.call("HSET", memory, field, int(index) .. ":" .. int(calls) .. ":" .. int(bad))
end

local function tally(rule)
  if rule.tag == "Consecutive" then
    local streak = get(rule.id, "streak")
    return streak, streak
  end
  if rule.width == 0 then return get(rule.id, "calls"), get(rule.id, "bad") end
  local calls, bad = 0, 0
  for _, p in ipairs(parts(rule)) do calls, bad = calls + p.calls, bad + p.bad end
  return calls, bad
end

local function record(rule, failed, millis)
  if rule.tag == "Consecutive" then
    local streak = failed and get(rule.id, "streak") + 1 or 0
    set(rule.id, "streak", streak)
    return streak >= rule.failures
  end
  local bad = failed
  if rule.slowerThan >= 0 then bad = millis > rule.slowerThan end
  local calls, badCalls
  if rule.width == 0 then
    calls, badCalls = push(rule, bad and 1 or 0)
  else
    addPart(rule, part(now, rule), 1, bad and 1 or 0)
    calls, badCalls = tally(rule)
  end
  return badCalls > 0 and calls >= rule.minimumCalls and badCalls / calls >= rule.threshold
end

local function isUnhealthy()
  for _, rule in ipairs(policy.rules) do
    local _, bad = tally(rule)
    if bad > 0 then return true end
  end
  return false
end

-- Other rules than those that the memory was made by: each takes over what one of its kind remembers.
local function adopt()
  if c.signature == policy.signature then return end
  local taken = {}
  for id, size, width in string.gmatch(c.signature, "(%w+)=(%d*),?([%d%.e+-]*)") do
    local old = { id = id, size = tonumber(size), width = tonumber(width) }
    for _, rule in ipairs(policy.rules) do
      if rule.id == id then
        if rule.tag == "Consecutive" then
          taken[#taken + 1] = { rule = rule, streak = get(id, "streak") }
        elseif (old.width == 0) == (rule.width == 0) then
          if old.width == 0 then
            local calls, nextAt, ring = get(id, "calls"), get(id, "next"), {}
            local first = calls == old.size and nextAt or 0
            for i = 0, calls - 1 do ring[#ring + 1] = get(id, (first + i) % old.size) end
            taken[#taken + 1] = { rule = rule, ring = ring }
          else
            taken[#taken + 1] = { rule = rule, old = old, parts = parts(old) }
          end
        end
      end
    end
  end
  redis.call("UNLINK", memory)
  for _, t in ipairs(taken) do
    if t.streak then set(t.rule.id, "streak", t.streak) end
    for _, bad in ipairs(t.ring or {}) do push(t.rule, bad) end
    for _, p in ipairs(t.parts or {}) do
      local newest = part(now, t.rule)
      local moved = math.floor((p.index + 1) * t.old.width / t.rule.width - 1e-9)
      if moved > newest - t.rule.size then addPart(t.rule, math.min(moved, newest), p.calls, p.bad) end
    end
  end
  c.signature = policy.signature
  dirty = true
end

-- ---------------------------------------------------------------- the machine

local function afresh()
  c.generation = nextPermit()
  c.succeeded, c.failed = 0, 0
  redis.call("UNLINK", memory, probes)
end

local function move(to, reason)
  local text = c.state .. "|" .. to .. "|" .. reason
  if to == "Open" then text = text .. "|" .. dec(c.openedFor) .. "|" .. c.openings end
  moves[#moves + 1] = text
  c.state = to
  dirty = true
end

local function openFor(openings) return policy.openFor[math.min(openings, #policy.openFor)] end

local function open(reason, at, hint)
  if c.state ~= "HalfOpen" and at >= c.forgetAt then c.openings = 0 end
  c.openings = c.openings + 1
  c.openedFor = math.max(openFor(c.openings), math.min(hint, policy.maxHint))
  c.openUntil = at + c.openedFor
  afresh()
  move("Open", reason)
end

local function close(reason, at)
  c.forgetAt = at + c.openedFor
  c.since = at
  afresh()
  move(policy.rampMillis < 0 and "Closed" or "Recovering", reason)
end

local function halfOpen(reason)
  afresh()
  move("HalfOpen", reason)
end

local function decide(hint)
  if c.succeeded >= policy.needed then close("probes succeeded", now)
  elseif c.failed > policy.probes - policy.needed then open("probe failed", now, hint) end
end

local function prune()
  redis.call("ZREMRANGEBYSCORE", leases, "-inf", dec(now))
  if c.state == "HalfOpen" then
    for _, id in ipairs(redis.call("ZRANGE", probes, 0, -1)) do
      if not redis.call("ZSCORE", leases, id) then redis.call("ZREM", probes, id) end
    end
  end
end

local function tick()
  if c.state == "HalfOpen" then
    decide(0)
    local oldest = redis.call("ZRANGE", probes, 0, 0, "WITHSCORES")
    if c.state == "HalfOpen" and oldest[2] and now >= tonumber(oldest[2]) + policy.deadline then
      local at = tonumber(oldest[2]) + policy.deadline
      if policy.onDeadline == "Open" then open("probe deadline", at, 0) else close("probe deadline", at) end
    end
  end
  if c.state == "Recovering" and now >= c.since + math.max(0, policy.rampMillis) then move("Closed", "recovered") end
end

-- The fraction that is let through, and when it changes next.
local function rampAt(elapsed)
  if elapsed < policy.rampMillis then
    for i = #policy.ramp, 1, -1 do
      if policy.ramp[i].at <= elapsed then
        return policy.ramp[i].fraction, policy.ramp[i + 1] and policy.ramp[i + 1].at or policy.rampMillis
      end
    end
  end
  return 1, math.max(0, policy.rampMillis)
end

local function retryAfter()
  if c.state == "Open" then return math.max(0, c.openUntil - now) end
  if c.state == "Recovering" then
    local _, nextAt = rampAt(now - c.since)
    return math.max(0, nextAt - (now - c.since))
  end
  if c.state == "ForcedOpen" then return openFor(1) end
  if c.state == "ForcedClosed" then return 0 end
  return math.min(1000, policy.deadline)
end

local function admits(chance)
  if c.state == "Open" and now >= c.openUntil then halfOpen("open time over") end
  if c.state == "HalfOpen" then return redis.call("ZCARD", probes) + c.succeeded + c.failed < policy.probes end
  if c.state == "Open" or c.state == "ForcedOpen" then return false end
  if c.state == "ForcedClosed" then return true end
  if c.state == "Recovering" and chance >= (rampAt(now - c.since)) then return false end
  return redis.call("ZCARD", leases) < policy.cap or not isUnhealthy()
end

local function answer(...)
  local result = { ... }
  for _, text in ipairs(moves) do result[#result + 1] = text end
  return result
end

if operation == "renew" then
  for i = 3, #ARGV do redis.call("ZADD", leases, "XX", dec(now + policy.lease), ARGV[i]) end
  return {}
end

if operation == "read" then
  local inFlight = redis.call("ZCOUNT", leases, "(" .. dec(now), "+inf")
  local probing = 0
  if c.state == "HalfOpen" then
    for _, id in ipairs(redis.call("ZRANGE", probes, 0, -1)) do
      if (tonumber(redis.call("ZSCORE", leases, id)) or 0) > now then probing = probing + 1 end
    end
  end
  local refuses = c.state ~= "Closed" and c.state ~= "ForcedClosed"
  local admitted = refuses and 0 or 1
  if c.state == "Recovering" then admitted = (rampAt(now - c.since)) end
  local result = { c.state, dec(refuses and retryAfter() or 0), c.openings, inFlight, probing, tostring(admitted) }
  for _, rule in ipairs(policy.rules) do
    local calls, bad = 0, 0
    if c.signature == policy.signature then calls, bad = tally(rule) end
    result[#result + 1] = rule.tag
    result[#result + 1] = calls
    result[#result + 1] = bad
  end
  return result
end

prune()
adopt()

if operation == "admit" then
  tick()
  if not admits(tonumber(ARGV[3])) then
    remember()
    return answer("refused", c.state, dec(retryAfter()))
  end
  local id = nextPermit()
  redis.call("ZADD", leases, dec(now + policy.lease), id)
  if c.state == "HalfOpen" then redis.call("ZADD", probes, dec(now), id) end
  remember()
  return answer("admitted", c.generation .. ":" .. id, c.state)
end

if operation == "settle" then
  local generation, id = string.match(ARGV[3], "^(%d+):(%d+)$")
  local verdict, millis, hint = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
  -- Settled before, or believed gone: it does not count.
  if not id or redis.call("ZREM", leases, id) == 0 then generation = nil end
  if c.state == "HalfOpen" or c.state == "Recovering" then tick() end
  if generation == c.generation then
    local failed = verdict == "failure"
    if c.state == "HalfOpen" then
      if redis.call("ZREM", probes, id) == 1 and verdict ~= "ignored" then
        if failed or millis > policy.slowerThan then c.failed = c.failed + 1 else c.succeeded = c.succeeded + 1 end
        dirty = true
        decide(hint)
      end
    elseif (c.state == "Closed" or c.state == "Recovering") and verdict ~= "ignored" then
      local trips = false
      for _, rule in ipairs(policy.rules) do
        if record(rule, failed, millis) then trips = true end
      end
      if trips then open("tripped", now, hint) end
    end
  end
  remember()
  return answer()
end

local command = ARGV[3]
if command == "forceOpen" or command == "forceClose" then
  local to = command == "forceOpen" and "ForcedOpen" or "ForcedClosed"
  if c.state ~= to then
    afresh()
    move(to, "forced")
  end
elseif command == "release" then
  if c.state == "ForcedOpen" then halfOpen("released")
  elseif c.state == "ForcedClosed" then
    c.forgetAt = now + c.openedFor
    afresh()
    move("Closed", "released")
  end
elseif command == "reset" then
  afresh()
  c.openings, c.openedFor = 0, 0
  if c.state ~= "Closed" then move("Closed", "reset") end
else
  tick()
  if command == "healthy" then
    if c.state == "Open" then
      c.openUntil = now
      dirty = true
    end
  elseif c.state == "Closed" or c.state == "Recovering" or c.state == "HalfOpen" then
    open("unhealthy", now, 0)
  end
end
remember()
return answer()
`
