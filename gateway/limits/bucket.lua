-- The law of bucket.py and admission.py, kept by Redis: one call decides one admission in every scope of a tenant.
--
-- KEYS: leases, gone, holds, workers, then one account per scope, the tenant's own first; all of one tenant and so
-- of one hash slot. A hold names the accounts that it counts against, so those of other turns are found from it.
-- ARGV: what to do, the moment (milliseconds; empty = Redis's own clock), the worker, its lease, the lease of a turn,
-- how long after it a turn may still be settled; then what each act needs.
--
-- Numbers are doubles and stay below 2^53, as bucket.py explains; they are written in full, because Lua's own
-- rendering keeps 14 digits. Money moves by HINCRBY.

local UNITS, REFILL_MS, DAY_MS = 60000, 120000, 86400000
local MOST_NANO_USD = 8000000000000000
local IDLE_MS, SPENT_MS = 26 * 3600000, 33 * DAY_MS -- what outlives a lease and its late settling; a month
local AT_ONCE = 1000

local act, worker = ARGV[1], ARGV[3]
local WORKER_LEASE_MS, LEASE_MS, LATE_MS = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local FIRST = 7
local leases, gone, holds, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local now, now_us -- an account is known by the microsecond of its birth
if ARGV[2] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
else
  now = tonumber(ARGV[2])
  now_us = now * 1000
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Year * 12 + month - 1 of a day of the epoch.
local function month_of(day)
  local shifted = day + 719468
  local era = math.floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year_of_era = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local from_march = math.floor((5 * of_year + 2) / 153)
  return (year_of_era + era * 400) * 12 + from_march + 2
end

local function load(key)
  local raw = redis.call('HMGET', key, 'at', 'requests', 'tokens', 'held_tokens', 'streams', 'held_nano_usd',
    'day', 'spent_day', 'month', 'spent_month', 'request_limit', 'token_limit')
  local found = {}
  for place = 1, 12 do
    found[place] = tonumber(raw[place] or 0)
  end
  return {
    key = key, at = found[1], requests = found[2], tokens = found[3], held_tokens = found[4], streams = found[5],
    held = found[6], day = found[7], spent_day = found[8], month = found[9], spent_month = found[10],
    request_limit = found[11], token_limit = found[12],
    was_held = found[6], was_day = found[8], was_month = found[10],
  }
end

local function move(key, field, from, to)
  if from ~= to then
    redis.call('HINCRBY', key, field, whole(to - from))
  end
end

local function save(account)
  redis.call('HSET', account.key, 'at', whole(account.at), 'requests', whole(account.requests),
    'tokens', whole(account.tokens), 'held_tokens', whole(account.held_tokens), 'streams', whole(account.streams),
    'day', whole(account.day), 'month', whole(account.month),
    'request_limit', whole(account.request_limit), 'token_limit', whole(account.token_limit))
  move(account.key, 'held_nano_usd', account.was_held, account.held)
  move(account.key, 'spent_day', account.was_day, account.spent_day)
  move(account.key, 'spent_month', account.was_month, account.spent_month)
  redis.call('PEXPIRE', account.key, account.spent_month > 0 and SPENT_MS or IDLE_MS)
end

local function refilled(missing, limit, elapsed)
  return math.max(math.min(missing, 2 * limit * UNITS) - elapsed * limit, 0)
end

local function advance(account)
  if now > account.at then
    local elapsed = math.min(now - account.at, REFILL_MS)
    account.at = now
    account.requests = refilled(account.requests, account.request_limit, elapsed)
    account.tokens = refilled(account.tokens, account.token_limit, elapsed)
  end
  local today = math.floor(now / DAY_MS)
  if today > account.day then
    local this_month = month_of(today)
    if this_month > account.month then
      account.month, account.spent_month = this_month, 0
    end
    account.day, account.spent_day = today, 0
  end
end

local function spend(account, nano_usd)
  account.spent_day = math.min(account.spent_day + nano_usd, MOST_NANO_USD)
  account.spent_month = math.min(account.spent_month + nano_usd, MOST_NANO_USD)
end

local function expire(account, tokens, nano_usd)
  account.streams = math.max(account.streams - 1, 0)
  account.held_tokens = math.max(account.held_tokens - tokens, 0)
  account.held = math.max(account.held - nano_usd, 0)
end

local function settle(account, tokens, nano_usd, used_tokens, used_nano_usd)
  advance(account)
  local missing = account.tokens + (used_tokens - tokens) * UNITS
  account.tokens = math.min(math.max(missing, 0), 2 * account.token_limit * UNITS)
  expire(account, tokens, nano_usd)
  spend(account, used_nano_usd)
end

local function settle_late(account, tokens, _, used_tokens, used_nano_usd)
  advance(account)
  local beyond = math.max(used_tokens - tokens, 0) * UNITS
  account.tokens = math.min(account.tokens + beyond, 2 * account.token_limit * UNITS)
  spend(account, used_nano_usd)
end

-- A hold is {tokens, nano-USD, worker, accounts}.
local function hold_of(id)
  local packed = redis.call('HGET', holds, id)
  return packed and cmsgpack.unpack(packed)
end

local function give_up(id, ends)
  local hold = hold_of(id)
  redis.call('ZREM', leases, id)
  if hold then
    redis.call('ZADD', gone, whole(ends + LATE_MS), id)
    for _, key in ipairs(hold[4]) do
      local account = load(key)
      expire(account, hold[1], hold[2])
      save(account)
    end
  end
end

local function bury(dead)
  redis.call('ZREM', workers, dead)
  local every = redis.call('HGETALL', holds)
  for place = 1, #every, 2 do
    local ends = redis.call('ZSCORE', leases, every[place])
    if ends and cmsgpack.unpack(every[place + 1])[3] == dead then
      give_up(every[place], tonumber(ends))
    end
  end
end

-- Frees what nobody settled in time, and all that a dead worker held. The tenant's own clock never goes back.
-- Returns it, and when the tenant's account was made: after a loss of data it is another moment.
local function sweep()
  local own = redis.call('HMGET', KEYS[5], 'at', 'born')
  local clock = math.max(tonumber(own[1] or 0), now)
  local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', whole(clock), 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
  for place = 1, #ended, 2 do
    give_up(ended[place], tonumber(ended[place + 1]))
  end
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', whole(clock))) do
    bury(dead)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', whole(clock), 'LIMIT', 0, AT_ONCE)) do
    redis.call('ZREM', gone, id)
    redis.call('HDEL', holds, id)
  end
  return clock, tonumber(own[2] or 0)
end

local function renew(clock)
  if worker ~= '' then
    redis.call('ZADD', workers, whole(clock + WORKER_LEASE_MS), worker)
    redis.call('PEXPIRE', workers, IDLE_MS)
  end
end

local function as_stored(account)
  return {
    account.at, account.requests, account.tokens, account.held_tokens, account.streams, account.held,
    account.day, account.spent_day, account.month, account.spent_month,
  }
end

local function fits(account, quota, tokens, nano_usd)
  local committed = account.held + nano_usd
  return (quota[1] == 0 or account.requests + UNITS <= quota[1] * UNITS)
    and (quota[2] == 0 or account.tokens + tokens * UNITS <= quota[2] * UNITS)
    and (quota[3] == 0 or account.streams < quota[3])
    and (quota[4] == 0 or account.spent_day + committed <= quota[4])
    and (quota[5] == 0 or account.spent_month + committed <= quota[5])
end

local acts = {}

-- id, tokens, nano-USD, then five limits for each account (requests, tokens, streams, day, month).
-- 1 and the account's birth = held; 2 and the amounts = held already; 0, the moment and the accounts = refused, for the caller to explain.
function acts.reserve()
  local id, tokens, nano_usd = ARGV[FIRST], tonumber(ARGV[FIRST + 1]), tonumber(ARGV[FIRST + 2])
  local clock, born = sweep()
  if redis.call('ZSCORE', leases, id) then
    local standing = hold_of(id)
    return {2, standing[1], standing[2]}
  end
  local accounts, quotas, all_fit, place = {}, {}, true, FIRST + 3
  for each = 1, #KEYS - 4 do
    local account, quota = load(KEYS[4 + each]), {}
    for limit = 1, 5 do
      quota[limit] = tonumber(ARGV[place])
      place = place + 1
    end
    account.request_limit, account.token_limit = quota[1], quota[2]
    advance(account)
    all_fit = fits(account, quota, tokens, nano_usd) and all_fit
    accounts[each], quotas[each] = account, quota
  end
  local answer = {all_fit and 1 or 0}
  if not all_fit then
    answer[2] = now
  end
  local names = {}
  for each, account in ipairs(accounts) do
    if all_fit then
      account.requests = quotas[each][1] > 0 and account.requests + UNITS or 0
      account.tokens = quotas[each][2] > 0 and account.tokens + tokens * UNITS or 0
      account.held_tokens = account.held_tokens + tokens
      account.streams = account.streams + 1
      account.held = account.held + nano_usd
    else
      answer[each + 2] = as_stored(account)
    end
    save(account)
    names[each] = account.key
  end
  if all_fit then
    redis.call('ZREM', gone, id)
    redis.call('ZADD', leases, whole(clock + LEASE_MS), id)
    redis.call('HSET', holds, id, cmsgpack.pack({tokens, nano_usd, worker, names}))
    for key = 1, 3 do
      redis.call('PEXPIRE', KEYS[key], IDLE_MS)
    end
    renew(clock)
    if born == 0 then
      born = now_us
      redis.call('HSET', KEYS[5], 'born', whole(born))
    end
    answer[2] = born
  end
  return answer
end

-- id, used tokens, used nano-USD. 1 = booked; 0 and the account's birth = there is no such hold (any more).
function acts.settle()
  local id, tokens, nano_usd = ARGV[FIRST], tonumber(ARGV[FIRST + 1]), tonumber(ARGV[FIRST + 2])
  local _, born = sweep()
  local book
  if redis.call('ZREM', leases, id) == 1 then
    book = settle
  elseif redis.call('ZREM', gone, id) == 1 then
    book = settle_late
  else
    return {0, born}
  end
  local hold = hold_of(id)
  redis.call('HDEL', holds, id)
  if not hold then
    return {0, born}
  end
  for _, key in ipairs(hold[4]) do
    local account = load(key)
    book(account, hold[1], hold[2], tokens, nano_usd)
    save(account)
  end
  return {1}
end

-- The moment and the accounts as they are stored.
function acts.look()
  sweep()
  local answer = {now}
  for each = 1, #KEYS - 4 do
    answer[each + 1] = as_stored(load(KEYS[4 + each]))
  end
  return answer
end

-- The last key marks what was added before: eight numbers for each account (two limits, then missing requests and
-- tokens, day and its spending, month and its spending) are added once.
function acts.absorb()
  if not redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', DAY_MS) then
    return {0}
  end
  for each = 1, #KEYS - 5 do
    local account, use = load(KEYS[4 + each]), {}
    for number = 1, 8 do
      use[number] = tonumber(ARGV[FIRST + (each - 1) * 8 + number - 1])
    end
    account.request_limit, account.token_limit = use[1], use[2]
    advance(account)
    account.requests = math.min(account.requests + use[3], use[1] * UNITS)
    account.tokens = math.min(account.tokens + use[4], 2 * use[2] * UNITS)
    local day = use[5] == account.day and use[6] or 0
    local month = use[7] == account.month and use[8] or 0
    account.spent_day = math.min(account.spent_day + day, MOST_NANO_USD)
    account.spent_month = math.min(account.spent_month + month, MOST_NANO_USD)
    save(account)
  end
  return {1}
end

-- Two limits, then what the books say was spent this day and this month.
function acts.restore()
  local account = load(KEYS[5])
  account.request_limit, account.token_limit = tonumber(ARGV[FIRST]), tonumber(ARGV[FIRST + 1])
  advance(account)
  account.spent_day = math.min(math.max(account.spent_day, tonumber(ARGV[FIRST + 2])), MOST_NANO_USD)
  account.spent_month = math.min(math.max(account.spent_month, tonumber(ARGV[FIRST + 3])), MOST_NANO_USD)
  save(account)
  return {1}
end

-- The worker lives: what it holds for this tenant stays held.
function acts.renew()
  renew(math.max(tonumber(redis.call('HGET', KEYS[5], 'at') or 0), now))
  return {1}
end

-- The only key is the register of all workers; how many of them live.
function acts.join()
  redis.call('ZADD', KEYS[1], whole(now + WORKER_LEASE_MS), worker)
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now))
  redis.call('PEXPIRE', KEYS[1], IDLE_MS)
  return {redis.call('ZCARD', KEYS[1])}
end

-- This worker ends: it no longer counts.
function acts.leave()
  return {redis.call('ZREM', KEYS[1], worker)}
end

return acts[act]()
