// The windows and the fast copy of the epoch, in Valkey: one Lua call per decision, by the server's own clock.
// Valkey may lose all of this without harm; without it every call is refused. It never opens anything.
import { Redis } from 'ioredis'
import type { Logger } from '@bailiwick/kernel/logger'
import { Fault } from '@bailiwick/kernel/result'
import type { WindowFacts } from './checks/facts.ts'
import { LIMITS, type LimitClass } from './rules.ts'

export type Hit = {
  readonly window: WindowFacts
  /** Null when Valkey has none (it was restarted empty). */
  readonly epoch: number | null
}

export type Limits = {
  /** Counts one call of `principal`. Install calls must find room in both windows, and stand in both. */
  hit(principal: string, limitClass: LimitClass): Promise<Hit>
  /** How many calls were refused inside the Retry-After window that the first of them opened. */
  countRefused(principal: string, retryAfterSeconds: number): Promise<number>
  readEpoch(): Promise<number | null>
  /** Moves the copy forward to `epoch`, never back. */
  publishEpoch(epoch: number): Promise<void>
  /** Replaces a copy that is ahead of the truth (a database restored from a backup), if it still is `wrong`. */
  repairEpoch(wrong: number, epoch: number): Promise<void>
  close(): void
}

// Refused calls leave no mark in a window, so that exactly `limit` calls fit into any 60 s however many are tried.
const HIT = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local span = ARGV[1] * 1000
local function look(key, limit)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - span))
  local used = redis.call('ZCARD', key)
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  return { key = key, limit = limit, left = limit - used, free = (oldest and tonumber(oldest) or now) + span - now }
end
local tight = look(KEYS[2], tonumber(ARGV[2]))
local windows = { tight }
if ARGV[3] ~= '0' then
  local install = look(KEYS[3], tonumber(ARGV[3]))
  windows[2] = install
  if install.left < tight.left then tight = install end
end
local admitted = tight.left > 0
if admitted then
  for _, window in ipairs(windows) do
    redis.call('ZADD', window.key, string.format('%.0f', now), string.format('%.0f', now) .. ARGV[4])
    redis.call('PEXPIRE', window.key, ARGV[1])
    window.left = window.left - 1
  end
end
return { admitted and 1 or 0, tight.limit, tight.left, math.ceil(tight.free / 1000000), redis.call('GET', KEYS[1]) }
`
const REFUSED = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
`
const PUBLISH = `
if (tonumber(redis.call('GET', KEYS[1]) or '') or -1) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
`
const REPAIR = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end`

type Scripts = {
  hitWindow(...args: (string | number)[]): Promise<[number, number, number, number, string | null]>
  countRefusedCall(key: string, ttlMs: number): Promise<number>
  publishEpochCopy(key: string, epoch: number): Promise<void>
  repairEpochCopy(key: string, wrong: number, epoch: number): Promise<void>
}

export function connectLimits(options: {
  url: string
  password?: string
  prefix?: string
  logger: Logger
  timeoutMs?: number
}): Limits {
  const { prefix = 'policy:', logger } = options
  const redis = new Redis(options.url, {
    ...(options.password === undefined ? {} : { password: options.password }),
    // Refuse at once while Valkey is away: a queue would answer late with windows of the past.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.timeoutMs ?? 500,
    connectTimeout: 1000,
    retryStrategy: (times) => Math.min(50 * times, 500),
    scripts: {
      hitWindow: { lua: HIT, numberOfKeys: 3 },
      countRefusedCall: { lua: REFUSED, numberOfKeys: 1 },
      publishEpochCopy: { lua: PUBLISH, numberOfKeys: 1 },
      repairEpochCopy: { lua: REPAIR, numberOfKeys: 1 },
    },
  }) as Redis & Scripts
  let isDown = false
  redis.on('ready', () => {
    if (isDown) logger.info('valkey_back')
    isDown = false
  })
  redis.on('error', (error: Error) => {
    if (!isDown) logger.warn('valkey_lost', { reason: error.message })
    isDown = true
  })
  const unavailable = (error: unknown): never => {
    throw new Fault('LIMITS_UNAVAILABLE', `valkey: ${String(error)}`, { cause: error })
  }
  const epochKey = `${prefix}epoch`
  const readNumber = (text: string | null): number | null =>
    text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
  // Two calls of the same microsecond must not be one member of the set, nor those of two replicas.
  const replica = Math.random().toString(36).slice(2)
  let sequence = 0

  return {
    async hit(principal, limitClass) {
      sequence += 1
      const [admitted, limit, left, freeSeconds, epoch] = await redis
        .hitWindow(
          epochKey,
          `${prefix}window:${principal}`,
          `${prefix}window:install:${principal}`,
          LIMITS.windowMs,
          LIMITS.callsPerWindow.standard,
          limitClass === 'install' ? LIMITS.callsPerWindow.install : 0,
          `:${replica}:${sequence}`,
        )
        .catch(unavailable)
      const reset_s = Math.max(1, freeSeconds)
      return {
        window: {
          rate: { limit, remaining: Math.max(0, left), reset_s },
          admitted: admitted === 1,
          retryAfterSeconds: reset_s,
        },
        epoch: readNumber(epoch),
      }
    },
    countRefused: (principal, retryAfterSeconds) =>
      redis.countRefusedCall(`${prefix}refused:${principal}`, retryAfterSeconds * 1000).catch(unavailable),
    readEpoch: async () => readNumber(await redis.get(epochKey).catch(unavailable)),
    publishEpoch: async (epoch) => redis.publishEpochCopy(epochKey, epoch).catch(unavailable),
    repairEpoch: async (wrong, epoch) => redis.repairEpochCopy(epochKey, wrong, epoch).catch(unavailable),
    close: () => redis.disconnect(),
  }
}
