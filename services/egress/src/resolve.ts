// Asks DNS for every address of a name. Straight from DNS: no /etc/hosts, no search list, no thread pool to fill up.
import { Resolver } from 'node:dns/promises'

/** All addresses of `name`; empty when it has none or nobody answers. `signal` ends the asking. */
export type Resolve = (name: string, signal: AbortSignal) => Promise<readonly string[]>

const QUERY_TIMEOUT_MS = 2_000
const TRIES = 2

/** `server` is `host:port`; null: the system's. */
export const resolveThrough =
  (server: string | null): Resolve =>
  async (name, signal) => {
    if (signal.aborted) return []
    // A new one each time: it reads the machine's name servers as they are now, and can be stopped by itself.
    const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES })
    if (server !== null) resolver.setServers([server])
    const stop = (): void => resolver.cancel()
    signal.addEventListener('abort', stop, { once: true })
    try {
      // A family that does not answer is one we do not connect to.
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
