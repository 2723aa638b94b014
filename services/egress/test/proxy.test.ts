import { once } from 'node:events'
import net from 'node:net'
import { silentLogger, type Fields, type Logger } from '@bailiwick/kernel/logger'
import { startProxy, type Proxy, type ProxyOptions } from '../src/proxy.ts'

/** "Public" here: the proxy judges it like any other address, and the test's dialler leads it to the far server below. */
const PUBLIC = '93.184.216.34'
const OTHER_PUBLIC = '2606:4700::1111'

type Line = { event: string } & Fields
type Setup = {
  /** The local port that stands for an address. */
  reach?: (address: string, farPort: number) => number
  far?: (socket: net.Socket) => void
} & Partial<Pick<ProxyOptions, 'resolve' | 'limits' | 'ownAddresses' | 'connect'>>

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function setUp({
  far = (socket) => socket.pipe(socket),
  reach = (_address, farPort) => farPort,
  ...options
}: Setup = {}) {
  const farSockets = new Set<net.Socket>()
  const farServer = net.createServer({ allowHalfOpen: true }, (socket) => {
    farSockets.add(socket)
    socket.on('error', () => socket.destroy())
    far(socket)
  })
  await new Promise<void>((listening) => farServer.listen(0, '127.0.0.1', listening))
  closers.push(() => {
    for (const socket of farSockets) socket.destroy()
    farServer.close()
  })
  const lines: Line[] = []
  const dialled: string[] = []
  const waiting: (() => void)[] = []
  const take = (event: string, fields: Fields = {}): void => {
    lines.push({ event, ...fields })
    for (const check of waiting) check()
  }
  const ended = (): Promise<Line> =>
    new Promise((resolve) => {
      const check = (): void => {
        const line = lines.find(({ event }) => event === 'end')
        if (line) resolve(line)
      }
      waiting.push(check)
      check()
    })
  const logger: Logger = { ...silentLogger, info: take, warn: take, error: take }
  const proxy: Proxy = await startProxy({
    listen: { host: '127.0.0.1', port: 0 },
    logger,
    ownAddresses: () => [],
    resolve: async () => [PUBLIC],
    connect: (address, port) => {
      dialled.push(`${address} ${port}`)
      return net.connect(reach(address, (farServer.address() as net.AddressInfo).port), '127.0.0.1')
    },
    ...options,
  })
  closers.push(() => proxy.close())
  return {
    proxy,
    lines,
    dialled,
    ended,
    verdicts: () => lines.map(({ verdict }) => verdict),
    ask: () => talk(proxy.port),
  }
}

/** A raw client: what it read so far, and the end of it. */
async function talk(port: number) {
  const socket = net.connect(port, '127.0.0.1')
  closers.push(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await once(socket, 'connect')
  const includes = async (part: string): Promise<void> => {
    while (!text.includes(part)) {
      if (socket.destroyed) throw new Error(`closed after ${JSON.stringify(text.slice(0, 200))}`)
      await Promise.race([once(socket, 'data'), closed])
    }
  }
  return { socket, closed, includes, text: () => text, write: (data: string) => void socket.write(data) }
}

const CONNECT = 'CONNECT app.example.com:443 HTTP/1.1\r\nHost: app.example.com:443\r\n\r\n'
const connectTo = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`

describe('what is let out', () => {
  test('a name with public addresses only, on port 443; bytes go both ways', async () => {
    const { ask, dialled, lines } = await setUp({ resolve: async () => [PUBLIC, OTHER_PUBLIC] })
    const client = await ask()
    client.write(CONNECT)
    await client.includes('HTTP/1.1 200 ')
    client.write('hello')
    await client.includes('hello')
    expect(dialled).toEqual([`${PUBLIC} 443`])
    expect(lines).toEqual([expect.objectContaining({ event: 'open', host: 'app.example.com', verdict: 'open' })])
  })

  test('the next of the judged addresses when the first does not answer', async () => {
    const dialled: string[] = []
    const { ask, verdicts } = await setUp({
      resolve: async () => [PUBLIC, OTHER_PUBLIC],
      reach: (address, farPort) => {
        dialled.push(address)
        return address === PUBLIC ? 1 : farPort
      },
    })
    const client = await ask()
    client.write(CONNECT)
    await client.includes('HTTP/1.1 200 ')
    expect(dialled).toEqual([PUBLIC, OTHER_PUBLIC])
    expect(verdicts()).toEqual(['open'])
  })
})

describe('what is refused, without anything being dialled', () => {
  test.each([
    ['a private address', ['10.0.0.5']],
    ['loopback', ['127.0.0.1']],
    ['a metadata service', ['169.254.169.254']],
    ['NAT64 with loopback in it', ['64:ff9b::7f00:1']],
    ['NAT64 with a public address in it', ['64:ff9b::5db8:d822']],
    ['IPv4-mapped', ['::ffff:93.184.216.34']],
    ['one bad address among good ones', [PUBLIC, OTHER_PUBLIC, '192.168.1.1']],
  ])('a name that leads to %s', async (_what, addresses) => {
    const { ask, dialled, lines } = await setUp({ resolve: async () => addresses })
    const client = await ask()
    client.write(CONNECT)
    await client.closed
    expect(client.text()).toMatch(/^HTTP\/1\.1 403 /)
    expect(dialled).toEqual([])
    expect(lines).toEqual([{ event: 'refused', host: 'app.example.com', verdict: 'special_address' }])
  })

  test('this machine’s own public address', async () => {
    const { ask, dialled, verdicts } = await setUp({ ownAddresses: () => [PUBLIC] })
    const client = await ask()
    client.write(CONNECT)
    await client.closed
    expect(dialled).toEqual([])
    expect(verdicts()).toEqual(['own_address'])
  })

  test('a name whose answer changes after it was judged: it is asked once, and only what was judged is dialled', async () => {
    const answers = [[PUBLIC], ['127.0.0.1']]
    let asked = 0
    const { ask, dialled, verdicts } = await setUp({ resolve: async () => answers[asked++] ?? [] })
    const first = await ask()
    first.write(CONNECT)
    await first.includes('HTTP/1.1 200 ')
    expect(asked).toBe(1)
    const second = await ask()
    second.write(CONNECT)
    await second.closed
    expect(second.text()).toMatch(/^HTTP\/1\.1 403 /)
    expect(dialled).toEqual([`${PUBLIC} 443`])
    expect(verdicts()).toEqual(['open', 'special_address'])
  })

  test.each([
    ['127.0.0.1:443', 'literal_address'],
    ['93.184.216.34:443', 'literal_address'],
    ['[::1]:443', 'literal_address'],
    ['localhost:443', 'special_name'],
    ['intranet:443', 'name'],
    ['app.example.com.:443', 'name'],
    ['app.example.com:22', 'port'],
    ['https://app.example.com/', 'malformed'],
  ])('%s, before any name is resolved; what is no name is not logged', async (target, verdict) => {
    let asked = 0
    const { ask, dialled, lines } = await setUp({
      resolve: async () => {
        asked += 1
        return [PUBLIC]
      },
    })
    const client = await ask()
    client.write(connectTo(target))
    await client.closed
    expect(client.text()).toMatch(/^HTTP\/1\.1 403 /)
    expect(lines).toEqual([{ event: 'refused', host: null, verdict }])
    expect({ asked, dialled }).toEqual({ asked: 0, dialled: [] })
  })

  test.each([
    ['a plain GET', 'GET http://app.example.com/ HTTP/1.1\r\nHost: app.example.com\r\n\r\n', 405, 'method'],
    [
      'a plain POST',
      'POST http://app.example.com/ HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\nhello',
      405,
      'method',
    ],
    [
      'an upgrade',
      'GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      405,
      'method',
    ],
    ['TLS to the proxy itself', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400, 'bad_request'],
    [
      'a header that is too long',
      `CONNECT app.example.com:443 HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(8192)}\r\n\r\n`,
      400,
      'bad_request',
    ],
    ['bytes before our 200', `${CONNECT}early`, 400, 'early_bytes'],
    ['a second request behind the first', `${CONNECT}${CONNECT}`, 400, 'early_bytes'],
  ])('%s', async (_what, request, status, verdict) => {
    const { ask, dialled, verdicts } = await setUp()
    const client = await ask()
    client.write(request)
    await client.closed
    // One answer: what follows a refused request is never read as another one.
    expect(client.text().match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`])
    expect(verdicts()).toEqual([verdict])
    expect(dialled).toEqual([])
  })

  test('a name without addresses, with too many, and one whose question fails', async () => {
    const answers: Record<string, () => Promise<string[]>> = {
      'none.example.com': async () => [],
      'many.example.com': async () => Array.from({ length: 17 }, (_, index) => `93.184.216.${index}`),
      'broken.example.com': () => Promise.reject(new Error('SERVFAIL')),
    }
    const { ask, dialled, verdicts } = await setUp({ resolve: (name) => answers[name]!() })
    for (const name of Object.keys(answers)) {
      const client = await ask()
      client.write(connectTo(`${name}:443`))
      await client.closed
    }
    expect(verdicts()).toEqual(['unresolved', 'too_many_addresses', 'unresolved'])
    expect(dialled).toEqual([])
  })
})

describe('what is bounded', () => {
  test('a client that sends its request letter by letter, or nothing at all, is sent away', async () => {
    const { ask, dialled } = await setUp({ limits: { headersMs: 300 } })
    const silent = await ask()
    const slow = await ask()
    const timer = setInterval(() => slow.write('C'), 50)
    closers.push(() => clearInterval(timer))
    await Promise.all([silent.closed, slow.closed])
    expect(dialled).toEqual([])
  })

  test('names and far sides that do not answer', async () => {
    const never = new Promise<string[]>(() => undefined)
    const { ask, verdicts } = await setUp({
      resolve: (name) => (name === 'app.example.com' ? never : Promise.resolve([PUBLIC])),
      // A socket that is never connected.
      connect: () => new net.Socket(),
      limits: { resolveMs: 100, connectMs: 100 },
    })
    for (const target of ['app.example.com:443', 'other.example.com:443']) {
      const client = await ask()
      client.write(connectTo(target))
      await client.closed
      expect(client.text()).toMatch(/^HTTP\/1\.1 502 /)
    }
    expect(verdicts()).toEqual(['unresolved', 'unreachable'])
  })

  test('an answer that is too long is cut at the bound, never delivered whole', async () => {
    const { ask, ended } = await setUp({
      far: (socket) => void socket.write(Buffer.alloc(3_000_000, 'x')),
      limits: { downBytes: 1_000_000 },
    })
    const client = await ask()
    client.write(CONNECT)
    await client.closed
    expect(client.text().length).toBeLessThanOrEqual(1_000_100)
    expect(await ended()).toMatchObject({ host: 'app.example.com', verdict: 'too_many_bytes' })
  })

  test('so is what a client sends', async () => {
    const { ask, ended } = await setUp({ far: (socket) => void socket.resume(), limits: { upBytes: 1_000 } })
    const client = await ask()
    client.write(CONNECT)
    await client.includes('HTTP/1.1 200 ')
    client.write('x'.repeat(2_000))
    await client.closed
    expect(await ended()).toMatchObject({ host: 'app.example.com', verdict: 'too_many_bytes' })
  })

  test('a tunnel in which nothing moves', async () => {
    const { ask, ended } = await setUp({ far: () => undefined, limits: { idleMs: 200 } })
    const client = await ask()
    client.write(CONNECT)
    await client.closed
    expect(await ended()).toMatchObject({ host: 'app.example.com', verdict: 'idle' })
  })

  test('an answer that trickles for ever', async () => {
    const { ask, ended } = await setUp({
      far: (socket) => {
        const timer = setInterval(() => socket.write('x'), 20)
        socket.once('close', () => clearInterval(timer))
      },
      limits: { totalMs: 500, idleMs: 200 },
    })
    const client = await ask()
    client.write(CONNECT)
    await client.closed
    expect(client.text()).toMatch(/x{5,}$/)
    expect(await ended()).toMatchObject({ host: 'app.example.com', verdict: 'too_long' })
  })

  test('a side that has ended and one that never does: the tunnel goes soon after the first', async () => {
    const { ask, ended } = await setUp({
      far: (socket) => void socket.on('end', () => socket.write('the rest')),
      limits: { lingerMs: 200 },
    })
    const client = await ask()
    client.write(CONNECT)
    await client.includes('HTTP/1.1 200 ')
    client.socket.end()
    await client.closed
    expect(client.text()).toMatch(/the rest$/)
    expect(await ended()).toMatchObject({ host: 'app.example.com', verdict: 'closed' })
  })

  test('tunnels to one name, and connections in all; a place is free again when its tunnel has ended', async () => {
    const { ask, ended, verdicts } = await setUp({ limits: { perName: 1, connections: 3 } })
    const open = async (target: string) => {
      const client = await ask()
      client.write(connectTo(target))
      await Promise.race([client.closed, client.includes('HTTP/1.1 200 ')])
      return client
    }
    const first = await open('a.example.com:443')
    expect((await open('a.example.com:443')).text()).toMatch(/^HTTP\/1\.1 503 /)
    await open('b.example.com:443')
    expect(verdicts()).toEqual(['open', 'too_many_for_name', 'open'])
    first.socket.destroy()
    await ended()
    expect((await open('a.example.com:443')).text()).toMatch(/^HTTP\/1\.1 200 /)
    await ask()
    await (
      await ask()
    ).closed
    expect(verdicts().at(-1)).toBe('too_many')
  })
})

test('closing ends every tunnel and every question that is under way', async () => {
  const { ask, proxy, verdicts } = await setUp({
    resolve: (name) => (name === 'app.example.com' ? Promise.resolve([PUBLIC]) : new Promise(() => undefined)),
  })
  const tunnel = await ask()
  tunnel.write(CONNECT)
  await tunnel.includes('HTTP/1.1 200 ')
  const waiting = await ask()
  waiting.write(connectTo('slow.example.com:443'))
  await proxy.close()
  await Promise.all([tunnel.closed, waiting.closed])
  expect(verdicts()[0]).toBe('open')
})
