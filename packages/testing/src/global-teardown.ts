// Ends what global-setup started and removes its folder.
import { rmSync } from 'node:fs'
import type { TestServers } from './global-setup.ts'

export default async function globalTeardown(): Promise<void> {
  const servers: TestServers | undefined = globalThis.bailiwickTestServers
  if (!servers) return
  for (const child of servers.children) {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGQUIT')
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 3000).unref())])
    child.kill('SIGKILL')
  }
  rmSync(servers.folder, { recursive: true, force: true })
}
