import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import https from 'node:https'
import { ensureCertificates } from '../certificates.ts'

const DAY = 86_400_000
const owner = { uid: process.getuid!(), gid: process.getgid!() }
let folder: string
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/bailiwick-tls-test-`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const read = (name: string): X509Certificate => new X509Certificate(readFileSync(`${folder}/${name}`))

test('a client that trusts the CA connects as localhost, and as nothing else', async () => {
  await ensureCertificates(folder, owner)
  const server = createServer(
    { cert: readFileSync(`${folder}/server.pem`), key: readFileSync(`${folder}/server.key`) },
    (_, reply) => reply.end('hello'),
  )
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const get = (servername: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      https
        .get(
          {
            host: '127.0.0.1',
            port,
            ca: readFileSync(`${folder}/ca.pem`),
            agent: false,
            headers: { host: servername },
          },
          (reply) => resolve(reply.statusCode),
        )
        .on('error', reject)
    })
  try {
    expect(await get('localhost')).toBe(200)
    // An address in the certificate would shut out every client that is built on BoringSSL (certificates.ts).
    await expect(get('127.0.0.1')).rejects.toThrow(/does not match/i)
    await expect(get('elsewhere.example')).rejects.toThrow(/altname|does not match/i)
  } finally {
    server.close()
  }
  expect(read('server.pem').checkHost('localhost')).toBe('localhost')
  expect(read('server.pem').subjectAltName).not.toMatch(/IP/)
  expect(read('server.pem').verify(read('ca.pem').publicKey)).toBe(true)
})

test('the CA’s key is closed to everybody but its owner', async () => {
  await ensureCertificates(folder, owner)
  expect(statSync(`${folder}/ca.key`).mode & 0o777).toBe(0o600)
  expect(statSync(`${folder}/server.key`).mode & 0o777).toBe(0o400)
})

test('the certificate lasts 90 days and is renewed in its last 30, under the same CA', async () => {
  await ensureCertificates(folder, owner)
  const [ca, first] = [read('ca.pem').fingerprint256, read('server.pem')]
  expect(Math.round((Date.parse(first.validTo) - Date.now()) / DAY)).toBe(90)
  expect(await ensureCertificates(folder, owner, Date.now() + 59 * DAY)).toBe(false)
  expect(await ensureCertificates(folder, owner, Date.now() + 61 * DAY)).toBe(true)
  expect(read('server.pem').serialNumber).not.toBe(first.serialNumber)
  expect(read('ca.pem').fingerprint256).toBe(ca)
})

test('a certificate whose key does not match is made anew', async () => {
  await ensureCertificates(folder, owner)
  const other = mkdtempSync(`${tmpdir()}/bailiwick-tls-test-`)
  try {
    await ensureCertificates(other, owner)
    rmSync(`${folder}/server.key`)
    writeFileSync(`${folder}/server.key`, readFileSync(`${other}/server.key`))
  } finally {
    rmSync(other, { recursive: true })
  }
  expect(await ensureCertificates(folder, owner)).toBe(true)
  expect(await ensureCertificates(folder, owner)).toBe(false)
})

test('a certificate of an earlier version, which names an address, is made anew under the same CA', async () => {
  await ensureCertificates(folder, owner)
  const ca = read('ca.pem').fingerprint256
  writeFileSync(`${folder}/ext`, 'subjectAltName = DNS:localhost,IP:127.0.0.1\n')
  const run = (line: string): void => void execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'ignore' })
  run('req -new -key server.key -subj /CN=localhost -out csr')
  run('x509 -req -in csr -CA ca.pem -CAkey ca.key -days 90 -set_serial 1 -extfile ext -out server.pem')
  expect(read('server.pem').checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(await ensureCertificates(folder, owner)).toBe(true)
  expect(read('server.pem').checkIP('127.0.0.1')).toBeUndefined()
  expect(read('ca.pem').fingerprint256).toBe(ca)
})
