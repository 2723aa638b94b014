// The look from outside, with name servers of our own on loopback in the world's place: a resolver, a parent, and a real PowerDNS
// as our server. Only what they are asked and answer is ours; the questions go over real UDP and TCP.
import { createSocket, type Socket } from 'node:dgram'
import { createServer, type Server } from 'node:net'
import { isPublicAddress } from '@bailiwick/kernel/public-address'
import { decodeMessage, encodeQuestion, TYPE } from '../src/zones/outside/wire.ts'
import { readParentDs } from '../src/zones/outside/parent.ts'
import { lookOutside } from '../src/zones/outside/look.ts'
import { ask, type Outside } from '../src/zones/outside/world.ts'
import { newDomain, newOperation, zonesWorld, type ZonesWorld } from './zones-helpers.ts'

type Rr = { owner: string; type: keyof typeof TYPE; data: Buffer }
type Answer = { rcode?: number; aa?: boolean; answers?: Rr[]; authority?: Rr[]; additional?: Rr[] } | 'silence'
type Script = (name: string, type: number) => Answer
const wireOf = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .filter(Boolean)
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ])
const soa = (owner: string, serial = 1): Rr => {
  const numbers = Buffer.alloc(20)
  numbers.writeUInt32BE(serial, 0)
  return { owner, type: 'SOA', data: Buffer.concat([wireOf('ns1.bailiwick.invalid'), wireOf('h.example'), numbers]) }
}
const ns = (owner: string, target: string): Rr => ({ owner, type: 'NS', data: wireOf(target) })
const a = (owner: string, address: string): Rr => ({
  owner,
  type: 'A',
  data: Buffer.from(address.split('.').map(Number)),
})
const ds = (owner: string, tag: number): Rr => ({
  owner,
  type: 'DS',
  data: Buffer.concat([Buffer.from([tag >> 8, tag & 255, 13, 2]), Buffer.alloc(32, 7)]),
})
const txt = (owner: string, text: string): Rr => ({
  owner,
  type: 'TXT',
  data: Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]),
})

/** All answer on one port, each at a loopback address of its own. */
class NameServer {
  readonly asked: string[] = []
  tcpOnly = false
  script: Script = () => ({ rcode: 5 })
  private udp: Socket | undefined
  private tcp: Server | undefined
  readonly address: string
  readonly port: number
  constructor(address: string, port: number) {
    this.address = address
    this.port = port
  }
  private reply(query: Buffer, overTcp: boolean): Buffer | null {
    let at = 12
    const labels: string[] = []
    for (; query[at] !== 0; at += query[at]! + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    const [name, type] = [labels.join('.'), query.readUInt16BE(at + 1)]
    this.asked.push(`${name} ${type}`)
    const answer = this.script(name, type)
    if (answer === 'silence') return null
    const cut = this.tcpOnly && !overTcp
    const parts = cut ? [[], [], []] : [answer.answers ?? [], answer.authority ?? [], answer.additional ?? []]
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8000 | (answer.aa ? 0x0400 : 0) | (cut ? 0x0200 : 0) | (answer.rcode ?? 0), 2)
    head.writeUInt16BE(1, 4)
    parts.forEach((part, index) => head.writeUInt16BE(part.length, 6 + index * 2))
    const records = parts.flat().map((rr) => {
      const fixed = Buffer.alloc(10)
      fixed.writeUInt16BE(TYPE[rr.type], 0)
      fixed.writeUInt16BE(1, 2)
      fixed.writeUInt32BE(300, 4)
      fixed.writeUInt16BE(rr.data.length, 8)
      return Buffer.concat([wireOf(rr.owner), fixed, rr.data])
    })
    return Buffer.concat([head, query.subarray(12, at + 5), ...records])
  }
  async start(): Promise<this> {
    const udp = createSocket('udp4')
    udp.on('message', (query, from) => {
      const reply = this.reply(query, false)
      if (reply) udp.send(reply, from.port, from.address)
    })
    await new Promise<void>((done) => udp.bind(this.port, this.address, done))
    const tcp = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        const reply = this.reply(chunk.subarray(2), true)
        if (!reply) return
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        // In two pieces, as networks do.
        socket.write(Buffer.concat([length, reply.subarray(0, 5)]))
        setImmediate(() => socket.write(reply.subarray(5)))
      })
    })
    await new Promise<void>((done) => tcp.listen(this.port, this.address, done))
    ;[this.udp, this.tcp] = [udp, tcp]
    return this
  }
  stop(): void {
    this.udp?.close()
    this.tcp?.close()
  }
}

let world: ZonesWorld
let [resolver, parent, stranger] = [] as unknown as [NameServer, NameServer, NameServer]
let outside: Outside
beforeAll(async () => {
  world = await zonesWorld()
  // Our own server's port, so that it and the others can be asked on one; it has 127.0.0.1.
  const port = world.powerDns.dnsPort
  ;[resolver, parent, stranger] = (await Promise.all(
    ['127.0.1.1', '127.0.1.2', '127.0.1.3'].map((address) => new NameServer(address, port).start()),
  )) as [NameServer, NameServer, NameServer]
  outside = {
    resolvers: [{ address: resolver.address, port }],
    mayAsk: (address) => ['127.0.0.1', '127.0.1.2', '127.0.1.3'].includes(address),
    port,
    withinMs: 3000,
  }
})
afterAll(async () => {
  for (const server of [resolver, parent, stranger]) server.stop()
  await world.close()
})
beforeEach(() => {
  for (const server of [resolver, parent, stranger]) {
    server.asked.length = 0
    server.tcpOnly = false
    server.script = () => ({ rcode: 5 })
  }
})

const op = <T extends object>(input: T): T & { operation_id: string } => ({ operation_id: newOperation(), ...input })
const table =
  (rows: Record<string, Answer>, otherwise: Answer = { rcode: 3, authority: [soa('test')] }): Script =>
  (name, type) =>
    rows[`${name} ${Object.entries(TYPE).find(([, number]) => number === type)?.[0]}`] ?? otherwise

/** `example.test` as a registrar would have it: parent `test`, served by `parent`, delegated to ns1 (ours) and ns2. */
const theWorld = (
  name: string,
  more: { resolver?: Record<string, Answer>; parent?: Record<string, Answer> } = {},
): void => {
  resolver.script = table({
    'test NS': { answers: [ns('test', 'a.nic.test')] },
    'a.nic.test A': { answers: [a('a.nic.test', parent.address)] },
    [`${name} DS`]: { authority: [soa('test')] },
    [`${name} NS`]: { answers: [ns(name, 'ns1.bailiwick.invalid')] },
    [`${name} TXT`]: { answers: [txt(name, 'hello')] },
    'ns1.bailiwick.invalid A': { answers: [a('ns1.bailiwick.invalid', '127.0.0.1')] },
    'ns2.bailiwick.invalid A': { answers: [a('ns2.bailiwick.invalid', '127.0.1.3')] },
    ...more.resolver,
  })
  parent.script = table({
    [`${name} NS`]: { authority: [ns(name, 'ns1.bailiwick.invalid'), ns(name, 'ns2.bailiwick.invalid')] },
    [`${name} DS`]: { aa: true, authority: [soa('test')] },
    ...more.parent,
  })
}
const look = (name: string, own: Parameters<typeof lookOutside>[1]['own'] = null) =>
  lookOutside(outside, { name, texts: [name, `_bailiwick.${name}`], own })

describe('look_outside', () => {
  test('follows the delegation: the parent’s name servers, who answers there, DS and TXT', async () => {
    const domain = newDomain()
    const { zones } = world.open({ outside }, world.newStateDir())
    await zones.create_zone(op(domain))
    await zones.publish_zone(op(domain))
    theWorld(domain.name)
    stranger.script = table({ [`${domain.name} SOA`]: { aa: true, answers: [soa(domain.name, 7)] } })
    const { account_id, zone_id, name } = domain
    const { view } = await zones.look_outside({ account_id, zone_id, name, texts: [name, `_bailiwick.${name}`] })
    expect(view).toEqual({
      texts: [
        { name, seen: ['hello'] },
        { name: `_bailiwick.${name}`, seen: [] },
      ],
      delegation: {
        state: 'delegated',
        parent_zone: 'test',
        source: 'parent',
        name_servers: ['ns1.bailiwick.invalid', 'ns2.bailiwick.invalid'],
      },
      servers: [
        { name: 'ns1.bailiwick.invalid', address: '127.0.0.1', answers: 'ours' },
        { name: 'ns2.bailiwick.invalid', address: '127.0.1.3', answers: 'outdated' },
      ],
      ds: { state: 'absent', records: [] },
    })
  })

  test.each<[string, Answer, string]>([
    [
      'another zone',
      {
        aa: true,
        answers: [{ ...soa('x.test'), data: Buffer.concat([wireOf('ns.other.test'), wireOf('h'), Buffer.alloc(20)]) }],
      },
      'another',
    ],
    ['a refusal', { rcode: 5 }, 'not_authoritative'],
    ['a cached answer', { answers: [soa('x.test')] }, 'not_authoritative'],
    ['nothing', 'silence', 'nothing'],
  ])('tells a server that answers with %s', async (_, answer, expected) => {
    theWorld('x.test')
    parent.script = table({ 'x.test NS': { authority: [ns('x.test', 'ns2.bailiwick.invalid')] } })
    stranger.script = table({ 'x.test SOA': answer })
    const { servers } = await look('x.test', { mname: 'ns1.bailiwick.invalid.', serial: 7 })
    expect(servers).toEqual([{ name: 'ns2.bailiwick.invalid', address: '127.0.1.3', answers: expected }])
  })

  test('says that there is no delegation when the parent says so', async () => {
    theWorld('free.test', { parent: { 'free.test NS': { rcode: 3, aa: true, authority: [soa('test')] } } })
    expect((await look('free.test')).delegation).toMatchObject({ state: 'not_delegated', source: 'parent' })
  })

  test('takes the resolver’s word, and says so, when the parent’s servers cannot be asked', async () => {
    theWorld('x.test', { resolver: { 'a.nic.test A': { answers: [a('a.nic.test', '10.0.0.53')] } } })
    expect((await look('x.test')).delegation).toEqual({
      state: 'delegated',
      parent_zone: 'test',
      source: 'resolver',
      name_servers: ['ns1.bailiwick.invalid'],
    })
  })

  test('is unknown, within its time, when nobody answers', async () => {
    for (const silent of [
      { ...outside, withinMs: 500, resolvers: [{ address: '127.0.0.1', port: 1 }] },
      { ...outside, withinMs: 500 },
    ]) {
      resolver.script = () => 'silence'
      const start = performance.now()
      expect(await lookOutside(silent, { name: 'x.test', texts: ['x.test'], own: null })).toEqual({
        texts: [{ name: 'x.test', seen: null }],
        delegation: { state: 'unknown', parent_zone: null, source: null, name_servers: [] },
        servers: [],
        ds: { state: 'unknown', records: [] },
      })
      expect(performance.now() - start).toBeLessThan(1200)
    }
  })

  test('takes a long answer over TCP', async () => {
    theWorld('x.test')
    resolver.tcpOnly = true
    expect((await look('x.test')).texts[0]).toEqual({ name: 'x.test', seen: ['hello'] })
  })

  test('asks no address that is not the public’s, wherever a stranger’s records point', async () => {
    const guarded: Outside = { ...outside, mayAsk: isPublicAddress, withinMs: 800 }
    theWorld('x.test')
    parent.script = () => {
      throw new Error('asked')
    }
    const view = await lookOutside(guarded, { name: 'x.test', texts: [], own: null })
    expect(view.servers).toEqual([{ name: 'ns1.bailiwick.invalid', address: null, answers: 'not_asked' }])
    expect([...parent.asked, ...stranger.asked]).toEqual([])
  })

  test('asks few servers, however many a stranger names', async () => {
    theWorld('x.test', {
      parent: { 'x.test NS': { authority: Array.from({ length: 60 }, (_, n) => ns('x.test', `ns${n}.evil.test`)) } },
    })
    const view = await look('x.test')
    expect(view.delegation.name_servers.length).toBeLessThanOrEqual(13)
    expect(view.servers.length).toBeLessThanOrEqual(6)
    expect(resolver.asked.length).toBeLessThan(30)
  })
})

describe('the DS at the parent', () => {
  test.each<[string, Answer, Answer, string]>([
    ['seen by the resolver', { answers: [ds('x.test', 5)] }, { aa: true, authority: [soa('test')] }, 'present'],
    ['seen at the parent alone', { authority: [soa('test')] }, { aa: true, answers: [ds('x.test', 5)] }, 'present'],
    ['denied by both', { authority: [soa('test')] }, { aa: true, authority: [soa('test')] }, 'absent'],
    ['denied by the resolver, the parent silent', { authority: [soa('test')] }, 'silence', 'absent'],
    ['denied by the parent, the resolver failing', { rcode: 2 }, { aa: true, authority: [soa('test')] }, 'absent'],
    ['of a name that is not there', { rcode: 3, authority: [soa('test')] }, { rcode: 5 }, 'absent'],
    ['denied by the child’s own server only', { authority: [soa('x.test')] }, { rcode: 5 }, 'unknown'],
    ['denied without a word of who says so', {}, { aa: true }, 'unknown'],
    ['denied at the parent by a cache', { rcode: 2 }, { authority: [soa('test')] }, 'unknown'],
    ['refused by all', { rcode: 5 }, { rcode: 5 }, 'unknown'],
    ['of another name in the answer', { answers: [ds('y.test', 5)] }, { rcode: 5 }, 'unknown'],
  ])('%s', async (_, fromResolver, fromParent, state) => {
    theWorld('x.test', { resolver: { 'x.test DS': fromResolver }, parent: { 'x.test DS': fromParent } })
    const found = await readParentDs({ ...outside, withinMs: 1000 }, 'x.test')
    expect(found.state).toBe(state)
    expect(found.records).toEqual(
      state === 'present' ? [{ key_tag: 5, algorithm: 13, digest_type: 2, digest: '07'.repeat(32) }] : [],
    )
  })

  test('is looked for above a name that is no zone', async () => {
    theWorld('x.co.test', {
      resolver: { 'co.test NS': { authority: [soa('test')] }, 'x.co.test DS': { rcode: 2 } },
      parent: { 'x.co.test DS': { aa: true, answers: [ds('x.co.test', 9)] } },
    })
    expect((await readParentDs(outside, 'x.co.test')).records).toMatchObject([{ key_tag: 9 }])
  })
})

describe('messages', () => {
  const server = (): { address: string; port: number } => ({ address: stranger.address, port: stranger.port })
  const question = { name: 'x.test', type: 'A' as const, recurse: false }
  const soon = (): number => performance.now() + 300

  test('an answer to another question is no answer', async () => {
    const socket = createSocket('udp4')
    await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))
    socket.on('message', (query, from) => {
      const forged = Buffer.from(query.subarray(0, 12 + 12))
      forged[2] = 0x80
      forged.writeUInt16BE(0, 10)
      forged[13] = 'y'.charCodeAt(0)
      socket.send(forged, from.port, from.address)
      const otherId = Buffer.from(query)
      otherId[0]! ^= 1
      otherId[2] = 0x80
      socket.send(otherId, from.port, from.address)
    })
    expect(await ask({ address: '127.0.0.1', port: socket.address().port }, question, soon())).toBeNull()
    socket.close()
  })

  test('that do not fit are none: cut short, pointing forward or at themselves, or counting too much', () => {
    const head = (counts: number[]): Buffer => {
      const bytes = Buffer.alloc(12)
      bytes.writeUInt16BE(0x8000, 2)
      counts.forEach((count, index) => bytes.writeUInt16BE(count, 4 + index * 2))
      return bytes
    }
    const asked = Buffer.concat([wireOf('x.test'), Buffer.from([0, 1, 0, 1])])
    const whole = Buffer.concat([head([1, 0, 0, 0]), asked])
    expect(decodeMessage(whole)).toMatchObject({ question: { name: 'x.test', type: 1 } })
    const record = Buffer.from([0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1])
    for (const bytes of [
      Buffer.alloc(0),
      whole.subarray(0, 15),
      encodeQuestion(1, 'x.test', 'A', true),
      Buffer.concat([head([1, 1, 0, 0]), asked]),
      Buffer.concat([head([1, 1, 0, 0]), asked, Buffer.from([0xc0, 12 + asked.length]), record]),
      Buffer.concat([head([1, 1, 0, 0]), asked, Buffer.from([0xc0, 0xff]), record]),
      Buffer.concat([head([1, 1, 0, 0]), asked, Buffer.from([0xc0, 12]), record.subarray(0, 12)]),
      Buffer.concat([head([1, 65_535, 65_535, 0]), asked]),
      Buffer.concat([head([1, 0, 0, 0]), Buffer.from([63]), Buffer.alloc(20, 65)]),
    ])
      expect(decodeMessage(bytes)).toBeNull()
    for (let n = 0; n < 2000; n += 1) {
      const bytes = Buffer.concat([head([1, 3, 2, 1]), asked, Buffer.from(crypto.getRandomValues(new Uint8Array(60)))])
      expect(() => decodeMessage(bytes)).not.toThrow()
    }
  })

  test('names with bytes that no host name has stay apart', async () => {
    stranger.script = () => ({
      answers: [{ owner: 'x.test', type: 'NS', data: Buffer.from([3, 0x61, 0x2e, 0x62, 0]) }],
    })
    const message = await ask(server(), { ...question, type: 'NS' }, soon())
    expect(message?.answers[0]?.data).toEqual({ type: 'NS', target: 'a\\046b' })
  })
})
