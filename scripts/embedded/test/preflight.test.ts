import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { layoutOf } from '../layout.ts'
import { requireDisk, requireFreePorts, requireShortPath } from '../preflight.ts'

const layout = layoutOf({ root: '/checkout', state: '/state', portBase: 29_400 })

test('too little disk is one sentence with the remedy', () => {
  expect(() => requireDisk('/state', 900 * 1024 ** 2)).toThrow(
    /only 900 MB are free on the disk of \/state.*BAILIWICK_STATE/,
  )
  expect(() => requireDisk('/state', 2 * 1024 ** 3)).not.toThrow()
})

test('the disk of a state folder that is not there yet is found', () => {
  expect(() => requireDisk('/a/folder/that/is/not/there', undefined)).not.toThrow(/ENOENT/)
})

test('a taken port is named with its holder and another base', async () => {
  await expect(requireFreePorts(layout)).resolves.toBeUndefined()
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(layout.ports.policy, '127.0.0.1', resolve))
  await expect(requireFreePorts(layout)).rejects.toThrow(
    new RegExp(`port ${layout.ports.policy} \\(policy\\) is taken by .*pid ${process.pid}.*BAILIWICK_PORT_BASE=30400`),
  )
  await new Promise((resolve) => server.close(resolve))
})

test('a DNS port that is taken for datagrams only is seen', async () => {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => void socket.bind(layout.ports.dns, '127.0.0.1', resolve))
  await expect(requireFreePorts(layout)).rejects.toThrow(`port ${layout.ports.dns} (PowerDNS)`)
  await new Promise<void>((resolve) => void socket.close(resolve))
})

test('a path that would not fit into a socket’s name is refused before anything is made', () => {
  expect(() => requireShortPath(layout)).not.toThrow()
  expect(() => requireShortPath(layoutOf({ ...layout, state: `/${'x'.repeat(80)}` }))).toThrow(
    /too long for the sockets/,
  )
})
