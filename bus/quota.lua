-- Xero's quota, counted for all processes and hosts: one atomic decision per call.
--
-- A call holds its place from admission until its completion plus the window, and those
-- under way count. A lease that has run out counts as completed at its end. All times are
-- milliseconds since 1970; a missing limit has been lifted.
--
-- KEYS
-- 1  …:<tenant>:flight  zset  token -> end of its lease: calls under way; a token is
--                             holder/number, where a holder is known
-- 2  …:<tenant>:done    zset  token -> its completion: places held for the window; a
--                             token "~n" is a phantom, a call that only Xero knows of
-- 3  …:<tenant>:hours   hash  hour since 1970 -> calls admitted in it, phantoms included
-- 4  …:<tenant>:state   hash  opened_at      the counter has existed since then; without
--                                            it nothing is known and nothing is admitted
--                             quiet_until    calls of before a loss may still count
--                             proven         Xero's headers have been seen since
--                             block_until, block_reason   Xero said 429 with Retry-After
--                             minute, day    the limits at the last admission
--                             day_left       Xero's last header, less what it can't know
--                             day_read_at    when that header came
--                             day_read_by    when its call was admitted
--                             day_asked_at   the last call made only to have a new header
--                             day_ends_at    Xero's day is seen to end about then
-- 5  …:app:flight, 6 …:app:done   as above, of all tenants
-- 7  …:app:state        hash  minute, phantoms (how many there have ever been),
--                             block_until
--
-- ARGV
-- 1  operation, 2 now in microseconds or "" for this server's clock, 3 window, 4 lease,
-- then the operation's own

local FLIGHT, DONE, HOURS, STATE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local APP_FLIGHT, APP_DONE, APP_STATE = KEYS[5], KEYS[6], KEYS[7]

local WINDOW, LEASE = tonumber(ARGV[3]), tonumber(ARGV[4])
local HOUR = 3600 * 1000
local DAY = 24 * HOUR
-- What ends by somebody's completion has no known moment; a look costs 0.2 ms.
local POLL = 50
-- unpack() fails on some thousands of values.
local PHANTOMS_AT_ONCE = 1000
-- What is kept of the day shrinks with it: worth another look after this.
local SHRINKS = 15 * 60 * 1000
-- A header that says so many more than we think: a new day, not calls that never arrived.
local NEW_DAY = 0.1

-- Operations that end calls.
local ENDING = { complete = true, bury = true }

-- Rounded against us: an admission is never early, a completion never too early.
local function moment(round)
  if ARGV[2] ~= "" then
    return round(tonumber(ARGV[2]) / 1000)
  end
  local time = redis.call("TIME")
  return round(tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000)
end

local now = moment(ENDING[ARGV[1]] and math.ceil or math.floor)

local function field(name)
  return tonumber(redis.call("HGET", STATE, name) or nil)
end

-- Ends what has run out, so that the sizes of the two sets are the truth.
local function settle(flight, done)
  local reaped = redis.call("ZRANGEBYSCORE", flight, "-inf", now, "WITHSCORES")
  for i = 1, #reaped, 2 do
    redis.call("ZREM", flight, reaped[i])
    redis.call("ZADD", done, reaped[i + 1], reaped[i])
  end
  redis.call("ZREMRANGEBYSCORE", done, "-inf", now - WINDOW)
end

local function held(flight, done)
  return redis.call("ZCARD", flight) + redis.call("ZCARD", done)
end

-- Milliseconds until fewer than `cap` places are held, if nobody else takes one.
local function until_place(flight, done, cap)
  local too_many = held(flight, done) - cap + 1
  if too_many <= 0 then
    return 0
  end
  local freed = redis.call("ZRANGE", done, too_many - 1, too_many - 1, "WITHSCORES")
  -- A call still under way will hold its place for a whole window at least.
  return freed[2] and tonumber(freed[2]) + WINDOW - now or WINDOW
end

-- The hours of the last day, oldest first, and their sum; older ones are forgotten.
local function last_day()
  local hours, sum = {}, 0
  local counts = redis.call("HGETALL", HOURS)
  for i = 1, #counts, 2 do
    local hour, count = tonumber(counts[i]), tonumber(counts[i + 1])
    if (hour + 1) * HOUR + DAY <= now then
      redis.call("HDEL", HOURS, counts[i])
    else
      hours[#hours + 1] = { hour = hour, count = count }
      sum = sum + count
    end
  end
  table.sort(hours, function(a, b) return a.hour < b.hour end)
  return hours, sum
end

-- Two lower bounds, and the better of them: what we counted in the last 24 hours (no
-- less than Xero counts, wherever its day begins), and its last header.
local function day_left(limit, sum)
  return math.max(limit - sum, field("day_left") or 0)
end

-- Milliseconds until more than `reserve` calls of the day are left.
local function until_day(limit, reserve)
  local hours, sum = last_day()
  local left = day_left(limit, sum)
  if left > reserve then
    return 0
  end
  local wait = DAY
  for _, each in ipairs(hours) do
    sum = sum - each.count
    if limit - sum > reserve then
      wait = (each.hour + 1) * HOUR + DAY - now
      break
    end
  end
  -- Only a call brings the header of a new day. One may use the reserve to look when the
  -- day should have ended; and one an hour, while anything is left, because Xero does not
  -- promise when it ends.
  local read_at = field("day_read_at")
  if not read_at then
    return wait
  end
  local looked_at = math.max(read_at, field("day_asked_at") or 0)
  local ends_at = field("day_ends_at") or 0
  if looked_at < ends_at then
    wait = math.min(wait, ends_at - now)
  end
  if left > 0 then
    wait = math.min(wait, looked_at + HOUR - now, SHRINKS)
  end
  wait = math.max(0, wait)
  return wait, wait == 0
end

local function add_phantoms(done, count)
  local last = redis.call("HINCRBY", APP_STATE, "phantoms", count)
  local first = last - count + 1
  while first <= last do
    local arguments = {}
    for n = first, math.min(last, first + PHANTOMS_AT_ONCE - 1) do
      arguments[#arguments + 1] = now
      arguments[#arguments + 1] = "~" .. n
    end
    redis.call("ZADD", done, unpack(arguments))
    first = first + PHANTOMS_AT_ONCE
  end
end

local function remember(key, name, limit)
  if (redis.call("HGET", key, name) or "") ~= limit then
    redis.call("HSET", key, name, limit)
  end
end

local operations = {}

-- token, then per limit its value and how much of it this purpose may take:
-- minute, its cap, day, its reserve, concurrent's cap, app minute, its cap
function operations.admit(token, minute, minute_cap, day, day_reserve, concurrent_cap,
                          app_minute, app_cap)
  settle(FLIGHT, DONE)
  settle(APP_FLIGHT, APP_DONE)
  if redis.call("ZSCORE", FLIGHT, token) then
    return { "admitted" } -- the client sent it again: our first answer was lost
  end
  if not field("opened_at") then
    return { "unopened" }
  end

  local wait, reason, asking = 0, nil, false
  local function refuse(ms, why)
    if ms > wait then
      wait, reason = ms, why
    end
  end
  local under_way = redis.call("ZCARD", FLIGHT)
  refuse((field("block_until") or 0) - now, "block")
  refuse((tonumber(redis.call("HGET", APP_STATE, "block_until") or nil) or 0) - now, "block")
  refuse(field("quiet_until") - now, "unproven")
  if under_way > 0 and not field("proven") then
    refuse(POLL, "unproven")
  end
  if under_way >= tonumber(concurrent_cap) then
    refuse(POLL, "concurrent")
  end
  if minute ~= "" then
    refuse(until_place(FLIGHT, DONE, tonumber(minute_cap)), "minute")
  end
  if app_minute ~= "" then
    refuse(until_place(APP_FLIGHT, APP_DONE, tonumber(app_cap)), "app_minute")
  end
  if day ~= "" then
    local ms, only_to_ask = until_day(tonumber(day), tonumber(day_reserve))
    refuse(ms, "day")
    asking = only_to_ask
  end
  if reason then
    return { "wait", wait, reason }
  end

  redis.call("ZADD", FLIGHT, now + LEASE, token)
  redis.call("ZADD", APP_FLIGHT, now + LEASE, token)
  redis.call("HINCRBY", HOURS, math.floor(now / HOUR), 1)
  if field("day_left") then
    redis.call("HINCRBY", STATE, "day_left", -1)
  end
  if asking then
    redis.call("HSET", STATE, "day_asked_at", now)
  end
  remember(STATE, "minute", minute)
  remember(STATE, "day", day)
  remember(APP_STATE, "minute", app_minute)
  return { "admitted" }
end

-- token, then Xero's remaining minute, day and app minute, each "" where it said nothing
function operations.complete(token, minute, day, app_minute)
  local lease_end = redis.call("ZSCORE", FLIGHT, token)
  redis.call("ZREM", FLIGHT, token)
  redis.call("ZREM", APP_FLIGHT, token)
  -- Also one that we no longer know, or have reaped: it reached Xero at some time up to now.
  redis.call("ZADD", DONE, now, token)
  redis.call("ZADD", APP_DONE, now, token)
  settle(FLIGHT, DONE)
  settle(APP_FLIGHT, APP_DONE)
  if minute ~= "" or day ~= "" then
    redis.call("HSET", STATE, "proven", 1)
  end

  -- Xero counts more than we do even if it has seen all that is under way: somebody else
  -- calls, or we lost count. When it counts fewer, its window began later than ours.
  local limit = field("minute")
  if limit and minute ~= "" then
    local unknown = limit - held(FLIGHT, DONE) - tonumber(minute)
    if unknown > 0 then add_phantoms(DONE, unknown) end
  end
  limit = tonumber(redis.call("HGET", APP_STATE, "minute") or nil)
  if limit and app_minute ~= "" then
    local unknown = limit - held(APP_FLIGHT, APP_DONE) - tonumber(app_minute)
    if unknown > 0 then add_phantoms(APP_DONE, unknown) end
  end

  -- The header of a call admitted before the one whose header we hold is old news.
  local admitted_at = lease_end and tonumber(lease_end) - LEASE
  if day ~= "" and admitted_at and admitted_at >= (field("day_read_by") or 0) then
    local left = tonumber(day) - redis.call("ZCARD", FLIGHT)
    local before = field("day_left")
    limit = field("day")
    if before and limit and left > before + NEW_DAY * limit then
      redis.call("HSET", STATE, "day_ends_at", now + DAY)
    end
    redis.call("HSET", STATE, "day_left", left, "day_read_at", now,
               "day_read_by", admitted_at)
    if limit then
      local _, sum = last_day()
      if tonumber(day) < limit - sum then
        redis.call("HINCRBY", HOURS, math.floor(now / HOUR), limit - sum - left)
      end
    end
  end
  return { "completed" }
end

-- token
function operations.withdraw(token)
  local lease_end = redis.call("ZSCORE", FLIGHT, token)
  if lease_end then
    local hour = math.floor((tonumber(lease_end) - LEASE) / HOUR)
    redis.call("HINCRBY", HOURS, hour, -1)
    if field("day_left") then
      redis.call("HINCRBY", STATE, "day_left", 1)
    end
  end
  redis.call("ZREM", FLIGHT, token)
  redis.call("ZREM", APP_FLIGHT, token)
  redis.call("ZREM", DONE, token)
  redis.call("ZREM", APP_DONE, token)
  return { "withdrawn" }
end

-- everybody who lives; the calls of anybody else have ended with them
function operations.bury(...)
  local lives = {}
  for _, holder in ipairs({ ... }) do
    lives[holder] = true
  end
  local ended = 0
  for _, token in ipairs(redis.call("ZRANGE", FLIGHT, 0, -1)) do
    local holder = string.match(token, "^(.+)/")
    if holder and not lives[holder] then
      redis.call("ZREM", FLIGHT, token)
      redis.call("ZREM", APP_FLIGHT, token)
      redis.call("ZADD", DONE, now, token)
      redis.call("ZADD", APP_DONE, now, token)
      ended = ended + 1
    end
  end
  return { "buried", ended }
end

-- how long to stay quiet
function operations.open(quiet)
  if not field("opened_at") then
    redis.call("HSET", STATE, "opened_at", now, "quiet_until", now + tonumber(quiet))
    redis.call("HDEL", STATE, "proven")
  end
  return { "opened" }
end

-- until, reason; the longer of two blocks holds
function operations.block(until_, reason)
  if reason == "appminute" then
    local before = tonumber(redis.call("HGET", APP_STATE, "block_until") or nil) or 0
    redis.call("HSET", APP_STATE, "block_until", math.max(before, tonumber(until_)))
    return { "blocked" }
  end
  if tonumber(until_) > (field("block_until") or 0) then
    redis.call("HSET", STATE, "block_until", until_, "block_reason", reason)
  end
  if reason == "day" then
    redis.call("HSET", STATE, "day_ends_at", until_)
  end
  return { "blocked" }
end

-- minute, day and app minute; answers what is left of each and when the day ends, "" where
-- it isn't known
function operations.remaining(minute, day, app_minute)
  settle(FLIGHT, DONE)
  settle(APP_FLIGHT, APP_DONE)
  local known = field("opened_at")
  local answer = { "remaining", "", "", "", known and field("day_ends_at") or "" }
  if known and minute ~= "" then
    answer[2] = math.max(0, tonumber(minute) - held(FLIGHT, DONE))
  end
  if known and day ~= "" then
    local _, sum = last_day()
    answer[3] = math.max(0, day_left(tonumber(day), sum))
  end
  if known and app_minute ~= "" then
    answer[4] = math.max(0, tonumber(app_minute) - held(APP_FLIGHT, APP_DONE))
  end
  return answer
end

return operations[ARGV[1]](unpack(ARGV, 5))
