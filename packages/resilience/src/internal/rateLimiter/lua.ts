/**
 * The algorithms in Lua, line by line those of `exact.ts`, `meter.ts`, `fixedWindow.ts`, `slidingWindow.ts` and `decide.ts`: the same
 * integers, so the same results. Tests run both over random histories.
 *
 * Lua's own `%` is computed with a division and is wrong for large numbers; `math.fmod` is exact.
 */
const algorithms = `
local huge = math.huge
local fmod = math.fmod

local function muldiv(a, b, d)
  local product = a * b
  if product <= 9007199254740991 then
    local rest = fmod(product, d)
    return (product - rest) / d, rest
  end
  local addrest = fmod(b, d)
  local addquot = (b - addrest) / d
  local quot, rest, bit = 0, 0, 4503599627370496
  while bit >= 1 do
    quot = quot * 2
    if rest >= d - rest then
      rest = rest - (d - rest)
      quot = quot + 1
    else
      rest = rest + rest
    end
    if a >= bit then
      a = a - bit
      quot = quot + addquot
      if rest >= d - addrest then
        rest = rest - (d - addrest)
        quot = quot + 1
      else
        rest = rest + addrest
      end
    end
    bit = bit / 2
  end
  return quot, rest
end

local function draintime(s, units, part)
  if units < 0 then return 0 end
  local whole, rest = muldiv(units, s.per, s.rate)
  local partrest = fmod(part, s.rate)
  whole = whole + (part - partrest) / s.rate
  if rest == 0 and partrest == 0 then return whole end
  if rest <= s.rate - partrest then return whole + 1 end
  return whole + 2
end

local function meteruntil(s, state, excess, now)
  local millis = draintime(s, state[1] + excess, state[2])
  if millis == 0 then return 0 end
  return millis + math.max(0, state[3] - now)
end

local function startof(s, now)
  if s.aligned then return now - fmod(now, s.window) end
  return now
end

local function windows(s, count, state, now)
  return count * s.window - (now - state[1])
end

local function newest(state)
  if #state > 1 then return state[#state - 1] end
  return 0
end

local function slidingused(state)
  local sum = 0
  for at = 3, #state, 2 do sum = sum + state[at] end
  return sum
end

local function advance(s, state, now)
  if s.kind == "meter" then
    if not state then return { 0, 0, now } end
    local debt, part, at = state[1], state[2], state[3]
    if now <= at then
      if at - now > s.window then return { debt, part, now } end
      return state
    end
    local elapsed = now - at
    if elapsed * s.rate / s.per > (debt + 2) * (1 + 1e-9) then return { 0, 0, now } end
    local quot, rest = muldiv(elapsed, s.rate, s.per)
    local left = debt - quot
    rest = part - rest
    if rest < 0 then
      rest = rest + s.per
      left = left - 1
    end
    if left < 0 then return { 0, 0, now } end
    return { left, rest, now }
  end
  if s.kind == "fixed" then
    if not state then return { startof(s, now), 0 } end
    local start, used = state[1], state[2]
    if now < start then
      if start - now > s.window then return { startof(s, now), used } end
      return state
    end
    local elapsed = now - start
    if elapsed < s.window then return state end
    local passed = (elapsed - fmod(elapsed, s.window)) / s.window
    local left = 0
    if s.overflow > 0 then left = math.max(0, used - passed * s.limit) end
    if left == 0 then return { startof(s, now), 0 } end
    return { start + passed * s.window, left }
  end
  if s.kind == "sliding" then
    if not state then return {} end
    local back = newest(state) - now
    if back > s.window then
      local moved = {}
      for at = 1, #state do
        if at == 1 or at % 2 == 0 then moved[at] = state[at] - back else moved[at] = state[at] end
      end
      return moved
    end
    local from = 2
    while from < #state and now - state[from] >= s.window do from = from + 2 end
    if from == 2 then return state end
    if from > #state then return {} end
    local kept = { state[1] }
    for at = from, #state do kept[#kept + 1] = state[at] end
    return kept
  end
  return {}
end

local function waiting(s, state, cost, held, now)
  local amount = held + s.weight * cost
  if cost > s.most or amount > s.capacity + s.overflow then return huge end
  if s.kind == "meter" then return meteruntil(s, state, amount - s.capacity - s.overflow, now) end
  if s.kind == "fixed" then
    local excess = state[2] + amount - s.limit - s.overflow
    if excess <= 0 then return 0 end
    if s.overflow == 0 then return windows(s, 1, state, now) end
    return windows(s, math.ceil(excess / s.limit), state, now)
  end
  if s.kind == "sliding" then
    local excess = slidingused(state) + amount - s.limit
    local at = 2
    while excess > 0 and at < #state do
      excess = excess - state[at + 1]
      if excess <= 0 then return s.window - (now - state[at]) end
      at = at + 2
    end
    return 0
  end
  return 0
end

local function delaying(s, state, cost, held, now)
  if s.overflow == 0 then return 0 end
  local amount = held + s.weight * cost
  if s.kind == "meter" then return meteruntil(s, state, amount - s.capacity, now) end
  local excess = state[2] + amount - s.limit
  if excess <= 0 then return 0 end
  return windows(s, math.ceil(excess / s.limit), state, now)
end

local function charging(s, state, amount, now)
  if amount == 0 then return state end
  if s.kind == "meter" then return { state[1] + amount, state[2], state[3] } end
  if s.kind == "fixed" then return { state[1], state[2] + amount } end
  if s.kind == "sliding" then
    local length = #state
    local last = newest(state)
    local at = math.max(now, last)
    if length == 0 then return { at, at, amount } end
    local next = {}
    for i = 1, length do next[i] = state[i] end
    if at == last or ((length - 1) / 2 >= s.slices and at - state[1] < math.ceil(s.window / s.slices)) then
      next[length - 1] = at
      next[length] = state[length] + amount
    else
      next[1] = at
      next[length + 1] = at
      next[length + 2] = amount
    end
    return next
  end
  return state
end

local function remaining(s, state, held)
  if s.kind == "meter" then
    local used = state[1]
    if state[2] > 0 then used = used + 1 end
    local room = s.capacity + s.overflow - used - held
    if s.weight == 0 then return room end
    return math.max(0, room)
  end
  if s.kind == "fixed" then return math.max(0, s.capacity - state[2] - held) end
  if s.kind == "sliding" then return math.max(0, s.capacity - slidingused(state) - held) end
  return math.max(0, s.capacity - held)
end

local function resetting(s, state, now)
  if s.kind == "meter" then return meteruntil(s, state, 0, now) end
  if s.kind == "fixed" then
    if state[2] == 0 then return 0 end
    if s.overflow == 0 then return windows(s, 1, state, now) end
    return windows(s, math.ceil(state[2] / s.limit), state, now)
  end
  if s.kind == "sliding" then
    if #state == 0 then return 0 end
    return s.window - (now - newest(state))
  end
  return 0
end
`

/** Reading and writing what is kept, and time: the server's own, or in tests the one that is given. */
const keeping = `
local function clock(given)
  if given ~= "" then return tonumber(given) end
  local time = redis.call("TIME")
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function text(number)
  return string.format("%.0f", number)
end

local function parse(value)
  if not value then return false end
  local state = {}
  for number in string.gmatch(value, "%S+") do state[#state + 1] = tonumber(number) end
  return state
end

local function shapeat(at)
  return {
    kind = ARGV[at], limit = tonumber(ARGV[at + 1]), capacity = tonumber(ARGV[at + 2]), overflow = tonumber(ARGV[at + 3]),
    weight = tonumber(ARGV[at + 4]), most = tonumber(ARGV[at + 5]), window = tonumber(ARGV[at + 6]),
    rate = tonumber(ARGV[at + 7]), per = tonumber(ARGV[at + 8]), aligned = ARGV[at + 9] == "1", slices = tonumber(ARGV[at + 10])
  }
end

local function write(key, s, state, now)
  local millis = resetting(s, state, now)
  if millis <= 0 then
    redis.call("DEL", key)
    return
  end
  local parts = {}
  for at = 1, #state do parts[at] = text(state[at]) end
  redis.call("SET", key, table.concat(parts, " "), "PX", text(millis))
end

-- KEYS[at]: state, + 1: when holds run out, + 2: what they hold, + 3: how much that is.
local function keep(at, total)
  if total > 0 then
    redis.call("SET", KEYS[at + 3], text(total), "KEEPTTL")
  else
    redis.call("DEL", KEYS[at + 1], KEYS[at + 2], KEYS[at + 3])
  end
end

local function release(at, id, total)
  local amount = redis.call("HGET", KEYS[at + 2], id)
  if not amount then return total, false end
  redis.call("HDEL", KEYS[at + 2], id)
  redis.call("ZREM", KEYS[at + 1], id)
  return total - tonumber(amount), true
end

local function held(at, value, now)
  if not value then return 0 end
  local total = tonumber(value)
  local over = redis.call("ZRANGEBYSCORE", KEYS[at + 1], "-inf", text(now))
  if #over == 0 then return total end
  for _, id in ipairs(over) do total = release(at, id, total) end
  keep(at, total)
  return math.max(0, total)
end

local function lasting(at, millis)
  for key = at + 1, at + 3 do
    if redis.call("PTTL", KEYS[key]) < millis then redis.call("PEXPIRE", KEYS[key], text(millis)) end
  end
end
`

export const decide = `${algorithms}${keeping}
local now = clock(ARGV[1])
local peek = ARGV[2] == "1"
local hold = ARGV[3]
local count = tonumber(ARGV[4])
local subjects = #KEYS - 4 * count

local wanted = {}
for entry = 0, count - 1 do
  wanted[#wanted + 1] = KEYS[4 * entry + 1]
  wanted[#wanted + 1] = KEYS[4 * entry + 4]
end
for subject = 1, subjects do wanted[#wanted + 1] = KEYS[4 * count + subject] end
local found = redis.call("MGET", unpack(wanted))

local allowed = true
local blocked = {}
for subject = 1, subjects do
  local value = found[2 * count + subject]
  blocked[subject] = value and math.max(0, tonumber(value) - now) or 0
  if blocked[subject] > 0 then allowed = false end
end
local take = allowed and not peek

local shapes, states, holding, waits, costs = {}, {}, {}, {}, {}
for entry = 1, count do
  local keyat = 4 * entry - 3
  local at = 5 + 14 * (entry - 1)
  local s = shapeat(at)
  local cost = tonumber(ARGV[at + 11])
  local state = advance(s, parse(found[2 * entry - 1]), now)
  local total = held(keyat, found[2 * entry], now)
  local best = waiting(s, state, cost, total, now)
  if best > 0 and total > 0 and cost <= s.most then
    local left = total
    local expiries = redis.call("ZRANGE", KEYS[keyat + 1], 0, -1, "WITHSCORES")
    for i = 1, #expiries, 2 do
      local millis = tonumber(expiries[i + 1]) - now
      if millis >= best then break end
      left = left - tonumber(redis.call("HGET", KEYS[keyat + 2], expiries[i]))
      best = math.min(best, math.max(millis, waiting(s, state, cost, left, now)))
    end
  end
  if best > 0 and ARGV[at + 12] ~= "1" then allowed = false end
  shapes[entry], states[entry], holding[entry], waits[entry], costs[entry] = s, state, total, best, cost
end

local reply = { allowed and 1 or 0 }
for entry = 1, count do
  local keyat = 4 * entry - 3
  local lease = tonumber(ARGV[5 + 14 * (entry - 1) + 13])
  local s, state, total, wait, cost = shapes[entry], states[entry], holding[entry], waits[entry], costs[entry]
  local after = total
  local delay = 0
  if wait == 0 and (allowed or peek) then delay = delaying(s, state, cost, total, now) end
  if allowed and take and wait == 0 and cost > 0 then
    if lease >= 0 then
      after = total + cost
      redis.call("HSET", KEYS[keyat + 2], hold, text(cost))
      redis.call("ZADD", KEYS[keyat + 1], text(now + lease), hold)
      keep(keyat, after)
      lasting(keyat, lease)
    else
      state = charging(s, state, cost, now)
      write(KEYS[keyat], s, state, now)
    end
  end
  reply[#reply + 1] = wait == huge and -1 or wait
  reply[#reply + 1] = delay
  reply[#reply + 1] = remaining(s, state, after)
  reply[#reply + 1] = resetting(s, state, now)
  reply[#reply + 1] = total
end
for subject = 1, subjects do reply[#reply + 1] = blocked[subject] end
return reply
`

export const settle = `${algorithms}${keeping}
local now = clock(ARGV[1])
local hold = ARGV[2]
local renew = tonumber(ARGV[3])
local force = ARGV[4] == "1"
local all = 1
for entry = 1, #KEYS / 4 do
  local keyat = 4 * entry - 3
  local at = 5 + 12 * (entry - 1)
  local s = shapeat(at)
  local charge = tonumber(ARGV[at + 11])
  local total = held(keyat, redis.call("GET", KEYS[keyat + 3]), now)
  if renew >= 0 then
    if total > 0 and redis.call("HEXISTS", KEYS[keyat + 2], hold) == 1 then
      redis.call("ZADD", KEYS[keyat + 1], "GT", text(now + renew), hold)
      lasting(keyat, renew)
    else
      all = 0
    end
  else
    local after, was = release(keyat, hold, total)
    if was then keep(keyat, after) else all = 0 end
    if charge > 0 and (was or force) then
      local state = advance(s, parse(redis.call("GET", KEYS[keyat])), now)
      write(KEYS[keyat], s, charging(s, state, charge, now), now)
    end
  end
end
return all
`

export const block = `${keeping}
local now = clock(ARGV[1])
local millis = tonumber(ARGV[2])
if millis > 0 then
  redis.call("SET", KEYS[1], text(now + millis), "PX", text(millis))
else
  redis.call("DEL", KEYS[1])
end
return 1
`
