// nginx with the project's own template and a certificate of the project's own maker, as its numeric user, on free ports.
import { spawn } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { freePort } from '@bailiwick/testing/global-setup'
import { ensureCertificates } from '../../../scripts/embedded/certificates.ts'
import { inState, layoutOf, USERS } from '../../../scripts/embedded/layout.ts'
import { nginxConfig } from '../../../scripts/embedded/server-configs.ts'

const ROOT = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '')

/** `folder` must not exist; its parent must be open to other users (0711). */
export async function startEdge(options: {
  folder: string
  httpsPort: number
  gatewayPort: number
}): Promise<{ ca: Buffer; close(): Promise<void> }> {
  const { folder: state, httpsPort, gatewayPort } = options
  const owner =
    process.getuid!() === 0 ? { uid: USERS.edge, gid: USERS.edge } : { uid: process.getuid!(), gid: process.getgid!() }
  for (const path of [state, `${state}/edge`, `${state}/edge/data`, inState.tls(state)])
    mkdirSync(path, { mode: 0o755 })
  chownSync(`${state}/edge/data`, owner.uid, owner.gid)
  await ensureCertificates(inState.tls(state), owner)
  const layout = layoutOf({ root: ROOT, state, portBase: 0 })
  const ports = { ...layout.ports, https: httpsPort, http: await freePort(), gateway: gatewayPort }
  const publicUrl = `https://localhost:${httpsPort}`
  const [command, args] = nginxConfig({ ...layout, ports, publicUrl }, owner)()
  const nginx = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  nginx.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  for (const deadline = Date.now() + 10_000; !(await isOpen(httpsPort));) {
    if (nginx.exitCode !== null || Date.now() > deadline) throw new Error(`nginx did not start: ${errors}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    ca: readFileSync(inState.caCertificate(state)),
    async close() {
      const gone = new Promise((resolve) => nginx.once('exit', resolve))
      nginx.kill('SIGTERM')
      // Streams that are still open would keep it for ten seconds.
      const patience = setTimeout(() => nginx.kill('SIGKILL'), 1_000)
      await gone
      clearTimeout(patience)
    },
  }
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.end()
  })
