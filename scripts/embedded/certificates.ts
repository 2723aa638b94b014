// The local CA and the edge's certificate, by the openssl program. The CA's key stays root's own, and the CA is constrained to
// this machine's names: whoever steals it from a disk can impersonate nothing else to those who trust it.
import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { writeWhole, type Owner } from './files.ts'
import { PlainError } from './plain-error.ts'

const CA_DAYS = 3650
const SERVER_DAYS = 90
const RENEW_BELOW_DAYS = 30

const openssl = (...args: string[]): Promise<string> => runToEnd('openssl', args, { PATH: process.env['PATH'] })

/** The names that the edge answers to; fixed when the CA is made, because the CA is constrained to them. */
function namesOfThisMachine(): string[] {
  const own = hostname().toLowerCase()
  return /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(own) && own !== 'localhost' ? ['localhost', own] : ['localhost']
}

/** Makes what is missing in `folder` (root's own); renews the server's certificate. Returns whether the edge must read it anew. */
export async function ensureCertificates(folder: string, edge: Owner, now = Date.now()): Promise<boolean> {
  if (!existsSync(`${folder}/ca.pem`)) await makeAuthority(folder)
  if (existsSync(`${folder}/server.pem`) && !needsRenewal(folder, now)) return false
  await makeServerCertificate(folder, edge)
  return true
}

async function makeAuthority(folder: string): Promise<void> {
  const names = namesOfThisMachine()
  // The key first and the certificate last: a crash in between leaves no certificate, and both are made anew.
  await inScratch(folder, async (scratch) => {
    writeFileSync(
      `${scratch}/ca.cnf`,
      `[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
[dn]
CN = Bailiwick local CA ${randomBytes(4).toString('hex')}
[ext]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical,@permitted
[permitted]
${names.map((name, index) => `permitted;DNS.${index} = ${name}`).join('\n')}
permitted;IP.0 = 127.0.0.1/255.255.255.255
permitted;IP.1 = 0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
`,
    )
    await makeKey(`${scratch}/ca.key`)
    await openssl(
      'req',
      '-x509',
      '-new',
      '-sha256',
      '-key',
      `${scratch}/ca.key`,
      '-days',
      String(CA_DAYS),
      '-config',
      `${scratch}/ca.cnf`,
      '-out',
      `${scratch}/ca.pem`,
    )
    writeWhole(`${folder}/names.json`, JSON.stringify(names), 0o644)
    writeWhole(`${folder}/ca.key`, readFileSync(`${scratch}/ca.key`, 'utf8'), 0o600)
    writeWhole(`${folder}/ca.pem`, readFileSync(`${scratch}/ca.pem`, 'utf8'), 0o644)
  })
}

/**
 * Names only. BoringSSL, which Claude Code and Electron bring, knows no constraints on addresses: with one in the certificate it
 * refuses the whole chain, and without the CA's constraint a stolen CA could speak for every address.
 */
async function makeServerCertificate(folder: string, edge: Owner): Promise<void> {
  const names = JSON.parse(readFileSync(`${folder}/names.json`, 'utf8')) as string[]
  await inScratch(folder, async (scratch) => {
    writeFileSync(
      `${scratch}/server.cnf`,
      `basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${names.map((name) => `DNS:${name}`).join(',')}
`,
    )
    await makeKey(`${scratch}/server.key`)
    await openssl('req', '-new', '-key', `${scratch}/server.key`, '-subj', '/CN=localhost', '-out', `${scratch}/csr`)
    await openssl(
      'x509',
      '-req',
      '-sha256',
      '-in',
      `${scratch}/csr`,
      '-CA',
      `${folder}/ca.pem`,
      '-CAkey',
      `${folder}/ca.key`,
      '-set_serial',
      `0x01${randomBytes(15).toString('hex')}`,
      '-days',
      String(SERVER_DAYS),
      '-extfile',
      `${scratch}/server.cnf`,
      '-out',
      `${scratch}/server.pem`,
    )
    // A crash between the two leaves a pair that does not match; needsRenewal sees that.
    writeWhole(`${folder}/server.key`, readFileSync(`${scratch}/server.key`, 'utf8'), 0o400, edge)
    writeWhole(`${folder}/server.pem`, readFileSync(`${scratch}/server.pem`, 'utf8'), 0o644)
  })
}

const makeKey = (file: string): Promise<string> =>
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file)

function needsRenewal(folder: string, now: number): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(`${folder}/server.pem`))
    const key = createPrivateKey(readFileSync(`${folder}/server.key`))
    const left = Date.parse(certificate.validTo) - now
    // Those that were made before this was known name an address.
    const namesAddress = certificate.checkIP('127.0.0.1') !== undefined
    return namesAddress || left < RENEW_BELOW_DAYS * 86_400_000 || !certificate.checkPrivateKey(key)
  } catch {
    // Unreadable or garbled: it holds nothing that cannot be made anew.
    return true
  }
}

/** Throws unless the CA in `folder` is whole. A lost CA is not replaced silently: clients trust this one. */
export function checkAuthority(folder: string): void {
  try {
    const certificate = new X509Certificate(readFileSync(`${folder}/ca.pem`))
    if (certificate.checkPrivateKey(createPrivateKey(readFileSync(`${folder}/ca.key`)))) return
  } catch {
    // Said below, for all cases.
  }
  throw new PlainError('edge/tls/ca.pem and edge/tls/ca.key do not read as a CA and its key')
}

/** Beside the result, closed to others; what a killed run left there is removed: it may hold the key of a CA that nobody trusts. */
async function inScratch(tls: string, work: (folder: string) => Promise<void>): Promise<void> {
  const scratch = `${tls}/.new`
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { mode: 0o700 })
  try {
    await work(scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
