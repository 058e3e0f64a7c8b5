-- The law of slots.py and adaptive.py, kept by Redis: one report of one worker about one upstream and model.
--
-- KEYS: the pool, one packed value. ARGV: the moment (milliseconds; empty = Redis's own clock), the worker, then the
-- numbers of a report, of them the time to the next last, and of its signals in their order, then how many tenants hold slots and each with its number,
-- then how many have turns that wait and each with their number and the age of the first (milliseconds).
-- Answers limit, cuts, usual first output, workers, slots in use, contended, spare slots, then a tenant for each slot granted.

local LEAST_WHEN_SLOW, CEILING_MS = 20, 600000
local SHORTEST_WINDOW_MS, LONGEST_WINDOW_MS, FEWEST_SAMPLES = 50, 5000, 4
local RETURN_MS, FRESH_MS, MOST_AT_ONCE, KEEP_MS = 1500, 1000, 128, 3600000

local worker = ARGV[2]
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
else
  now = tonumber(ARGV[1])
end

local place = 2
local function number()
  place = place + 1
  return tonumber(ARGV[place])
end
local function word()
  place = place + 1
  return ARGV[place]
end

-- A share is a list, as short as it can be, because every report reads and writes the shares of all workers.
local ENDS, FRESH, GRANTED, USED, HOLDS, WAITS = 1, 2, 3, 4, 5, 6
local COUNT, SINCE = 1, 2

local lease, cap, granted, used, wish, every = number(), number(), number(), number(), number(), number()
local signals = {seen = number(), sum_us = number(), slow = number(), refused_at = number(), named = number()}
local own_holds, own_waits = {}, {}
for _ = 1, number() do
  local tenant = word()
  own_holds[tenant] = number()
end
for _ = 1, number() do
  local tenant = word()
  local count = number()
  own_waits[tenant] = {count, now - number()}
end
local own = {now + lease, now + math.max(FRESH_MS, 3 * every), granted, used, own_holds, own_waits}

-- The adaptive limit.

local function cut(state, limit)
  state.limit = math.max(1, math.floor(limit))
  state.cuts = state.cuts + 1
  state.cut_in_window = 1
end

local function usual(state)
  local mean = math.floor(signals.sum_us / signals.seen)
  if state.usual_us == 0 then
    return mean
  end
  local off = math.min(mean, 2 * state.usual_us) - state.usual_us
  return state.usual_us + math.floor(off * math.min(signals.seen, 16) / (off < 0 and 32 or 256))
end

local function after_window(state, top)
  local length = math.max(SHORTEST_WINDOW_MS, math.min(math.floor(state.usual_us / 1000), LONGEST_WINDOW_MS))
  if state.seen == 0 or now - state.window < length then
    return
  end
  if state.cut_in_window == 0 then
    if state.seen >= FEWEST_SAMPLES and 2 * state.slow > state.seen then
      cut(state, math.max(math.min(state.limit, LEAST_WHEN_SLOW), state.limit * 9 / 10))
    elseif 2 * state.peak > state.limit then
      state.limit = math.min(state.limit + 1, top)
    end
  end
  state.window, state.seen, state.slow, state.peak, state.cut_in_window = now, 0, 0, 0, 0
end

local function adapt(state, all_used)
  if signals.named > 0 then
    state.ceiling, state.ceiling_until = signals.named, now + CEILING_MS
  elseif state.ceiling > 0 and now >= state.ceiling_until then
    state.ceiling, state.ceiling_until = 0, 0
  end
  local top = state.ceiling > 0 and math.min(cap, state.ceiling) or cap
  local before = state.cuts > 0 and state.limit or cap
  state.limit = math.max(1, math.min(before, top))
  state.window = state.window > 0 and state.window or now
  state.peak = math.max(state.peak, all_used)
  if signals.refused_at == state.cuts then
    local less = math.min(state.limit * 9 / 10, math.max(state.peak * 9 / 10, state.limit / 2))
    cut(state, signals.named > 0 and state.limit < before and state.limit or less)
  end
  if signals.seen > 0 then
    state.seen, state.slow = state.seen + signals.seen, state.slow + signals.slow
    state.usual_us = usual(state)
  end
  after_window(state, top)
end

-- The shares of the workers.

local packed = redis.call('GET', KEYS[1])
local pool = packed and cmsgpack.unpack(packed) or {
  adaptive = {
    limit = 0, cuts = 0, ceiling = 0, ceiling_until = 0, window = 0, seen = 0, slow = 0, peak = 0,
    cut_in_window = 0, usual_us = 0,
  },
  shares = {}, tags = {}, served = 0, open_at = 0,
}

local all_used, anyone = used, false
for name, share in pairs(pool.shares) do
  anyone = anyone or share[ENDS] > now
  if share[ENDS] <= now or name == worker then
    pool.shares[name] = nil
  else
    all_used = all_used + share[USED]
  end
end
if granted > 0 and not anyone then
  pool.open_at = now + math.max(RETURN_MS, 2 * every)
end
adapt(pool.adaptive, all_used)
if lease > 0 then
  pool.shares[worker] = own
end

local free, workers, held, left, rivals = pool.adaptive.limit, 0, {}, {}, false
for name, share in pairs(pool.shares) do
  workers, free = workers + 1, free - share[GRANTED]
  for tenant, count in pairs(share[HOLDS]) do
    held[tenant] = (held[tenant] or 0) + count
  end
  if now <= share[FRESH] then
    for tenant, waits in pairs(share[WAITS]) do
      rivals = rivals or name ~= worker
      if waits[COUNT] > 0 then
        left[#left + 1] = {tenant = tenant, name = name, count = waits[COUNT], since = waits[SINCE]}
      end
    end
  end
end

if now < pool.open_at then
  free = math.min(free, 0)
end

-- What is only left for others does not count as served yet, so there are two sets of turns.
local tags, served, told = {}, pool.served, {}
for tenant, tag in pairs(pool.tags) do
  tags[tenant] = tag
end

local function comes_first(one, other)
  local here, there = held[one.tenant] or 0, held[other.tenant] or 0
  if here ~= there then
    return here < there
  end
  here, there = math.max(tags[one.tenant] or 0, served), math.max(tags[other.tenant] or 0, served)
  if here ~= there then
    return here < there
  end
  if one.since ~= other.since then
    return one.since < other.since
  end
  if one.name ~= other.name then
    return one.name < other.name
  end
  return one.tenant < other.tenant
end

local function grant(tenant)
  told[#told + 1] = tenant
  pool.served = math.max(pool.tags[tenant] or 0, pool.served)
  pool.tags[tenant] = pool.served + 1
  own_holds[tenant] = (own_holds[tenant] or 0) + 1
  local waits = own_waits[tenant]
  if waits[COUNT] > 1 then
    waits[COUNT] = waits[COUNT] - 1
  else
    own_waits[tenant] = nil
  end
end

local assigned = 0
while free > 0 and assigned < MOST_AT_ONCE and #left > 0 do
  local first = 1
  for entry = 2, #left do
    if comes_first(left[entry], left[first]) then
      first = entry
    end
  end
  local entry = left[first]
  assigned, free, entry.count = assigned + 1, free - 1, entry.count - 1
  if entry.count == 0 then
    table.remove(left, first)
  end
  held[entry.tenant] = (held[entry.tenant] or 0) + 1
  served = math.max(tags[entry.tenant] or 0, served)
  tags[entry.tenant] = served + 1
  if entry.name == worker then
    grant(entry.tenant)
  end
end

local spare = 0
if not rivals and #left == 0 and lease > 0 then
  spare = math.max(0, math.min(free, wish))
end
own[GRANTED] = granted + #told + spare
if #left == 0 then
  pool.tags, pool.served = {}, 0
else
  for tenant, tag in pairs(pool.tags) do
    if tag <= pool.served then
      pool.tags[tenant] = nil
    end
  end
end
redis.call('SET', KEYS[1], cmsgpack.pack(pool), 'PX', KEEP_MS)

local answer = {
  pool.adaptive.limit, pool.adaptive.cuts, pool.adaptive.usual_us, workers, all_used,
  (rivals or free < 0) and 1 or 0, spare,
}
for _, tenant in ipairs(told) do
  answer[#answer + 1] = tenant
end
return answer
