//! The script that says what is durable: [`Heads`](crate::bus::order::Heads) in Redis' own words.

use std::sync::LazyLock;

use redis::Script;

/// Incidents that are over and forgotten in one call, at most.
const FORGET_MAX: usize = 20;

/// Keys: the stream, how far each incident was told, when those that are over are forgotten, the stream's epoch.
/// Arguments: the stream's most entries, the epoch of one that begins here, for how many ms those that are over are
/// remembered; then of each stretch the incident, its first and its last event, and whether the incident is over.
/// A stream that begins has one entry that is none, so that there always is a last one. Answers how many were news.
pub(super) static SAY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "\
if redis.call('SET', KEYS[4], ARGV[2], 'NX') then redis.call('XADD', KEYS[1], '*', 'epoch', ARGV[2]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local news = 0
for i = 4, #ARGV, 4 do
    local room, first, last = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local head = redis.call('HGET', KEYS[2], room)
    if head then first = tonumber(head) + 1 end
    if first <= last then
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'sosId', room, 'first', first, 'last', last)
        redis.call('HSET', KEYS[2], room, last)
        news = news + 1
    end
    if ARGV[i + 3] == '1' then redis.call('ZADD', KEYS[3], 'NX', now + ARGV[3], room) end
end
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, {FORGET_MAX})) do
    redis.call('HDEL', KEYS[2], room)
    redis.call('ZREM', KEYS[3], room)
end
return news"
    ))
});
