import dgram from 'node:dgram'
import { resolveThrough } from '../src/resolve.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

const [A, AAAA] = [1, 28]
type Answer = { type: number; data: Buffer }

/** A name server of our own: `answer` says what a question gets; null: nothing at all. */
async function nameServer(answer: (name: string, type: number) => Answer[] | null): Promise<string> {
  const socket = dgram.createSocket('udp4')
  closers.push(() => socket.close())
  socket.on('message', (query, from) => {
    const end = query.indexOf(0, 12)
    const labels: string[] = []
    for (let at = 12; at < end; at += query[at]! + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    const records = answer(labels.join('.'), query.readUInt16BE(end + 1))
    if (!records) return
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(records.length, 6)
    header.fill(0, 8)
    const body = records.map(({ type, data }) => {
      const record = Buffer.alloc(12)
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(type, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt16BE(data.length, 10)
      return Buffer.concat([record, data])
    })
    socket.send(Buffer.concat([header, query.subarray(12, end + 5), ...body]), from.port, from.address)
  })
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound))
  return `127.0.0.1:${socket.address().port}`
}

const NAT64 = Buffer.from('0064ff9b00000000000000007f000001', 'hex')
const never = new AbortController().signal

test('every address of both families is brought, the odd ones too: judging is not the resolver’s', async () => {
  const server = await nameServer((_name, type) =>
    type === A
      ? [
          { type: A, data: Buffer.from([93, 184, 216, 34]) },
          { type: A, data: Buffer.from([10, 0, 0, 5]) },
        ]
      : [{ type: AAAA, data: NAT64 }],
  )
  const addresses = await resolveThrough(server)('app.example.com', never)
  expect([...addresses].sort()).toEqual(['10.0.0.5', '64:ff9b::7f00:1', '93.184.216.34'])
})

test('a name is asked as it stands: no search list, no file of hosts', async () => {
  const asked: string[] = []
  const server = await nameServer((name) => {
    asked.push(name)
    return []
  })
  expect(await resolveThrough(server)('app.example.com', never)).toEqual([])
  expect(await resolveThrough(server)('localhost', never)).toEqual([])
  expect(new Set(asked)).toEqual(new Set(['app.example.com', 'localhost']))
})

test('a server that does not answer is not waited for when the caller has gone', async () => {
  const gone = new AbortController()
  const server = await nameServer(() => {
    gone.abort()
    return null
  })
  expect(await resolveThrough(server)('app.example.com', gone.signal)).toEqual([])
  expect(await resolveThrough(server)('app.example.com', gone.signal)).toEqual([])
})
