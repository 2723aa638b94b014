// TXT records as the world sees them, through the configured resolver: how a domain's owner proves it.
import { Resolver } from 'node:dns/promises'
import { Fault } from '@bailiwick/kernel/result'

const TIMEOUT_MS = 3000
const MAX_VALUES = 100
/** The resolver answered, and the answer is "nothing there" as far as the asker can know. */
const NOTHING = new Set(['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'EREFUSED', 'ENONAME', 'EBADRESP'])

/** `resolver` is `host:port`, or null for the system's. A resolver that does not answer: Fault BACKEND_UNAVAILABLE. */
export async function resolveTxt(resolver: string | null, name: string): Promise<string[]> {
  const asked = new Resolver({ timeout: TIMEOUT_MS, tries: 2 })
  if (resolver) asked.setServers([resolver])
  try {
    // Absolute: the system's search list must not answer for another name.
    const records = await asked.resolveTxt(`${name}.`)
    return records.slice(0, MAX_VALUES).map((parts) => parts.join(''))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code && NOTHING.has(code)) return []
    throw new Fault('BACKEND_UNAVAILABLE', `the resolver did not answer: ${String(code)}`, { cause: error })
  }
}
