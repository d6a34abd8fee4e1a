/**
 * What happens inside Redis, as Lua scripts: each runs alone and is kept whole or not at all, by memory and by the
 * append-only file.
 *
 * *Keys.* `<name>` is a hash: `format`, `identity` (drawn when the log was made), `partitions`, `kind` (`log` or `tape`),
 * and `next:0` …, the offset that a partition's next record gets. `<name>:0` … are the streams. An entry has the fields
 * `offset`, then `key` and `value` where there is one, and `h:NAME` for each header; `time` in a tape.
 *
 * *Offsets* are counted by the script that appends, in the same step as `XADD`, so they are dense. They can't be made of
 * the stream's ids: an id is `milliseconds-sequence`, and while a clock stands behind the last id its sequence grows
 * without a bound that fits 53 bits.
 *
 * *Ids* are Redis's own (`XADD *`): the milliseconds are the append time, and never step back. An entry that somebody
 * else has added has no `offset`, so that neither its place nor its time is our doing: it is refused when it is read. One
 * with an id in the future would hold back all times after it: appends wait, see `AHEAD_MS_MAX`.
 *
 * *Finding an offset.* Offsets and ids grow together, so a halving search over the milliseconds and then over the
 * sequences finds any offset in some fifty looks, inside one call. Whoever reads on gives the id that he has come to.
 *
 * An error's first word says what it is: `ISOTHERM refused` for a person, `ISOTHERM wait` for what may pass.
 */

/** How far a stream's last id may lie ahead of Redis's clock: by so much a clock may be set back. */
export const AHEAD_MS_MAX = 300_000;

/** Entries that are looked at in one step of a read, so that its bytes are bounded. */
const STEP = 16;

/** Makes the log, or says what is there. KEYS: name. ARGV: partitions, identity, kind, may it be made (1, 0). */
export const settleScript = `
local name = KEYS[1]
if redis.call('EXISTS', name) == 0 then
  if ARGV[4] == '0' then return redis.error_reply('ISOTHERM refused was deleted while it was in use: bring it back, or start again to begin a new log') end
  for partition = 0, tonumber(ARGV[1]) - 1 do
    if redis.call('EXISTS', name .. ':' .. partition) == 1 then
      return redis.error_reply('ISOTHERM refused has streams but has lost its metadata, the key ' .. name .. ': restore it, or name another log')
    end
  end
  redis.call('HSET', name, 'format', '1', 'identity', ARGV[2], 'partitions', ARGV[1], 'kind', ARGV[3])
end
return redis.call('HMGET', name, 'format', 'identity', 'partitions', 'kind')
`;

/**
 * Appends. KEYS: name, then the streams. ARGV: identity, count, then for each record: index of its stream (1 …), its
 * partition, number of its fields and values, those. Answers offset and id for each.
 */
export const appendScript = `
local name = KEYS[1]
if redis.call('HGET', name, 'identity') ~= ARGV[1] then
  return redis.error_reply('ISOTHERM refused was deleted or replaced while it was in use: bring it back, or start again to begin a new log')
end
local now = redis.call('TIME')
local aheadMax = tonumber(now[1]) * 1000 + ${AHEAD_MS_MAX}
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[i])
    for field = 1, #info, 2 do
      if info[field] == 'last-generated-id' and tonumber(string.match(info[field + 1], '^%d+')) > aheadMax then
        return redis.error_reply('ISOTHERM wait has given the id ' .. info[field + 1] .. ' in ' .. KEYS[i] .. ', which lies ahead of the clock of Redis, so that append times would stand still: wait if its clock was set back; if somebody has added an entry, remove it (XDEL) and set the id of the last one (XSETID)')
      end
    end
  end
end
local answers = {}
local at = 3
for record = 1, tonumber(ARGV[2]) do
  local key = KEYS[1 + tonumber(ARGV[at])]
  local partition = ARGV[at + 1]
  local fields = tonumber(ARGV[at + 2])
  local offset = redis.call('HINCRBY', name, 'next:' .. partition, 1) - 1
  local id = redis.call('XADD', key, '*', 'offset', string.format('%.0f', offset), unpack(ARGV, at + 3, at + 2 + fields))
  answers[2 * record - 1] = offset
  answers[2 * record] = id
  at = at + 3 + fields
end
for i = 2, #KEYS do redis.call('PUBLISH', name .. ':appended', string.sub(KEYS[i], #name + 2)) end
return answers
`;

const common = `
local name, stream = KEYS[1], KEYS[2]
if redis.call('HGET', name, 'identity') ~= ARGV[1] then
  return redis.error_reply('ISOTHERM refused was deleted or replaced while it was read: bring it back, or start again to begin a new log')
end
local function offsetOf(entry)
  local fields = entry[2]
  if fields[1] ~= 'offset' or not tonumber(fields[2]) then
    error({err = 'ISOTHERM refused has the entry ' .. entry[1] .. ' in ' .. stream .. ', which was not appended by Isotherm, so that its time would be its sender\\'s word: send readings through ingest, and remove it with XDEL ' .. stream .. ' ' .. entry[1]})
  end
  return tonumber(fields[2])
end
local function firstFrom(id)
  return redis.call('XRANGE', stream, id, '+', 'COUNT', 1)[1]
end
local nextOffset = tonumber(redis.call('HGET', name, 'next:' .. ARGV[2]) or '0')
`;

/** First kept offset and the next one. KEYS: name, stream. ARGV: identity, partition. */
export const rangeScript = `${common}
local first = firstFrom('-')
return {first and offsetOf(first) or nextOffset, nextOffset}
`;

/** Where an offset lies: the last id whose entry has at most this offset, null before the first. */
const find = `
local function find(offset)
  local first = firstFrom('-')
  if not first or offsetOf(first) > offset then return nil end
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local low = tonumber(string.match(first[1], '^%d+'))
  local high = tonumber(string.match(last[1], '^%d+')) + 1
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    local entry = firstFrom(string.format('%.0f', middle))
    if entry and offsetOf(entry) <= offset then low = middle else high = middle end
  end
  local ms = string.format('%.0f', low)
  local entry = firstFrom(ms)
  ms = string.match(entry[1], '^%d+')
  low = tonumber(string.match(entry[1], '%d+$'))
  high = low + (offset - offsetOf(entry)) + 1
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    entry = redis.call('XRANGE', stream, ms .. '-' .. string.format('%.0f', middle), '+', 'COUNT', 1)[1]
    if entry and offsetOf(entry) <= offset then low = middle else high = middle end
  end
  return ms .. '-' .. string.format('%.0f', low)
end
`;

/**
 * Reads. KEYS: name, stream. ARGV: identity, partition, offset, id of the record before it or '', records and bytes at
 * the most. Answers the next offset of the log, the first kept one, and entries.
 */
export const readScript = `${common}${find}
local offset, after = tonumber(ARGV[3]), ARGV[4]
local recordsMax, bytesMax = tonumber(ARGV[5]), tonumber(ARGV[6])
local first = firstFrom('-')
local earliest = first and offsetOf(first) or nextOffset
local entries = {}
if offset < earliest or offset >= nextOffset then return {nextOffset, earliest, entries} end
local from
if after ~= '' then from = '(' .. after else from = find(offset) end
local bytes = 0
while #entries < recordsMax and bytes < bytesMax do
  local step = redis.call('XRANGE', stream, from, '+', 'COUNT', math.min(${STEP}, recordsMax - #entries))
  if #step == 0 then break end
  for _, entry in ipairs(step) do
    if offsetOf(entry) >= offset then
      entries[#entries + 1] = entry
      local fields = entry[2]
      for i = 3, #fields, 2 do
        if fields[i] == 'value' then bytes = bytes + #fields[i + 1] end
      end
    end
    from = '(' .. entry[1]
    if #entries >= recordsMax or bytes >= bytesMax then break end
  end
end
return {nextOffset, earliest, entries}
`;

/**
 * Removes what is older than a time and lies below an offset, but keeps the record before that. KEYS: name, stream.
 * ARGV: identity, partition, offset, age in ms. Answers how many went.
 */
export const trimScript = `${common}${find}
local id = find(tonumber(ARGV[3]) - 1)
if not id then return 0 end
local now = redis.call('TIME')
local oldest = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[4])
if tonumber(string.match(id, '^%d+')) > oldest then id = string.format('%.0f', oldest) end
return redis.call('XTRIM', stream, 'MINID', '=', id)
`;

/**
 * Says that a worker is there. KEYS: the group's sorted set. ARGV: worker, ms until it counts as gone (0: it leaves),
 * channel on which a change is told. Answers whether it was there already, and who is, in order.
 */
export const memberScript = `
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
if ARGV[2] == '0' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], string.format('%.0f', ms + tonumber(ARGV[2])), ARGV[1]) end
if (known == 0) == (ARGV[2] ~= '0') then redis.call('PUBLISH', ARGV[3], 'members') end
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(members)
return {known, members}
`;
