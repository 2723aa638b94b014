// Brings what is missing from the system's packages, without starting any of it: a server that Debian starts by itself would
// run outside our care, on its own port, with its own settings, today and after each boot.
import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { findPostgresBin, runToEnd } from '@bailiwick/kernel/postgres-cluster'
import { isBuilt } from './keycloak/distribution.ts'
import { findJava } from './keycloak/java.ts'
import { PlainError } from './plain-error.ts'

type Need = {
  readonly what: string
  readonly isThere: () => boolean
  /** The first that the system offers is taken. */
  readonly packages: readonly string[]
  /** Services that the package would have the machine start at boot. */
  readonly units: readonly string[]
}

const anyOf =
  (...paths: string[]) =>
  (): boolean =>
    paths.some((path) => existsSync(path))

export const NEEDS: readonly Need[] = [
  { what: 'nginx', isThere: anyOf('/usr/sbin/nginx'), packages: ['nginx-light', 'nginx'], units: ['nginx'] },
  { what: 'PostgreSQL', isThere: hasPostgres, packages: ['postgresql'], units: ['postgresql'] },
  {
    what: 'Valkey or Redis',
    isThere: anyOf('/usr/bin/valkey-server', '/usr/bin/redis-server'),
    packages: ['valkey-server', 'redis-server'],
    units: ['valkey-server', 'redis-server'],
  },
  { what: 'PowerDNS', isThere: anyOf('/usr/sbin/pdns_server'), packages: ['pdns-server'], units: ['pdns'] },
  {
    what: "PowerDNS' SQLite backend",
    isThere: () => findLibrary('pdns/libgsqlite3backend.so'),
    packages: ['pdns-backend-sqlite3'],
    units: ['pdns'],
  },
  {
    what: 'nss_wrapper',
    isThere: () => findLibrary('libnss_wrapper.so'),
    packages: ['libnss-wrapper'],
    units: [],
  },
  { what: 'openssl', isThere: anyOf('/usr/bin/openssl'), packages: ['openssl'], units: [] },
  { what: 'setpriv', isThere: anyOf('/usr/bin/setpriv', '/bin/setpriv'), packages: ['util-linux'], units: [] },
]

/** A Java to run Keycloak with; as long as it is not built yet, also what builds it. */
export function keycloakNeeds(root: string): Need[] {
  const java = (what: string, programs: readonly string[], kind: string): Need => ({
    what,
    isThere: () => findJava(programs) !== null,
    packages: [`openjdk-17-${kind}-headless`, `openjdk-21-${kind}-headless`, `default-${kind}-headless`],
    units: [],
  })
  if (isBuilt(root)) return [java('Java', ['java'], 'jre')]
  return [
    java('a Java compiler', ['java', 'javac', 'jar'], 'jdk'),
    { what: 'Maven', isThere: anyOf('/usr/bin/mvn', '/usr/local/bin/mvn'), packages: ['maven'], units: [] },
  ]
}

function hasPostgres(): boolean {
  try {
    return existsSync(`${findPostgresBin()}/postgres`)
  } catch {
    return false
  }
}

const findLibrary = (name: string): boolean =>
  ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib'].some((folder) =>
    existsSync(`${folder}/${name}`),
  )

const APT_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  LC_ALL: 'C.UTF-8',
  ...Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
      .filter((name) => process.env[name] !== undefined)
      .map((name) => [name, process.env[name]]),
  ),
}

/** Installs what of `needs` is missing. Needs root; PlainError with the remedy otherwise. */
export async function installMissing(say: (line: string) => void, needs: readonly Need[] = NEEDS): Promise<void> {
  if (process.getuid!() === 0) allowStarts()
  const missing = needs.filter((need) => !need.isThere())
  if (missing.length === 0) return
  const names = missing.map((need) => need.what).join(', ')
  if (process.getuid!() !== 0)
    throw new PlainError(`${names}: not installed, and installing needs root. Run this once with sudo`)
  if (!existsSync('/usr/bin/apt-get'))
    throw new PlainError(
      `${names}: not installed, and this machine has no apt to install it with. Bailiwick's embedded stack runs on Debian and Ubuntu; elsewhere install ${missing.map((need) => need.packages.at(-1)).join(', ')} yourself first`,
    )
  say(`installing from the system's packages: ${names}`)
  let packages = await choosePackages(missing)
  let isFresh = false
  const refresh = async (): Promise<void> => {
    say('fetching the list of packages (apt-get update)')
    await apt('update', '-q')
    isFresh = true
    packages = await choosePackages(missing)
  }
  if (packages.includes(null)) await refresh()
  const unknown = missing.filter((_, index) => packages[index] === null)
  if (unknown.length > 0)
    throw new PlainError(
      `the system's packages do not offer ${unknown.map((need) => need.packages.join(' or ')).join(', ')}: check /etc/apt/sources.list`,
    )
  await withoutStarts(say, async () => {
    await install(packages as string[]).catch(async (error: unknown) => {
      // A list that is older than the mirror names files that are gone.
      if (isFresh) throw error
      await refresh()
      await install(packages as string[])
    })
    await keepFromBoot(missing.flatMap((need) => need.units))
  })
  const still = missing.filter((need) => !need.isThere())
  if (still.length > 0) throw new PlainError(`apt-get brought no ${still.map((need) => need.what).join(', ')}`)
}

const install = (packages: string[]): Promise<void> =>
  apt('install', '-y', '-q', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', ...packages)

/** For each need the first package that has a candidate, or null. */
async function choosePackages(needs: readonly Need[]): Promise<(string | null)[]> {
  const chosen: (string | null)[] = []
  for (const need of needs) {
    let found: string | null = null
    for (const name of need.packages) {
      const policy = await runToEnd('apt-cache', ['policy', name], APT_ENV)
      if (/Candidate: (?!\(none\))\S/.test(policy)) {
        found = name
        break
      }
    }
    chosen.push(found)
  }
  return chosen
}

const POLICY = '/usr/sbin/policy-rc.d'
const KEPT = `${POLICY}.before-bailiwick`
const CLUSTERS = '/etc/postgresql-common/createcluster.d/bailiwick.conf'
const MARK = '# Put here by bailiwick while it installs packages; removed afterwards.'

const isOurs = (): boolean => existsSync(POLICY) && readFileSync(POLICY, 'utf8').includes(MARK)

/** Puts the machine's own policy back; also what an earlier run left that was killed in the middle. */
function allowStarts(): void {
  if (isOurs()) rmSync(POLICY)
  if (existsSync(KEPT)) renameSync(KEPT, POLICY)
  rmSync(CLUSTERS, { force: true })
}

/** Runs `work` while packages may start nothing and PostgreSQL makes no cluster. A signal waits: half an installation helps nobody. */
async function withoutStarts(say: (line: string) => void, work: () => Promise<void>): Promise<void> {
  let stopping = false
  const stop = (): void => {
    stopping = true
    say('stopping as soon as the packages are installed')
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    if (existsSync(POLICY) && !isOurs() && !existsSync(KEPT)) renameSync(POLICY, KEPT)
    writeFileSync(POLICY, `#!/bin/sh\n${MARK}\nexit 101\n`, { mode: 0o755 })
    mkdirSync(dirname(CLUSTERS), { recursive: true })
    writeFileSync(CLUSTERS, 'create_main_cluster = false\n')
    await work()
  } finally {
    allowStarts()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
  if (stopping) throw new PlainError('stopped', 130)
}

/** Only what this run installed: a server that the operator runs already is the operator's. */
async function keepFromBoot(units: readonly string[]): Promise<void> {
  for (const unit of new Set(units)) {
    // Each tool exists on some machines only, and each unit for some packages only.
    if (existsSync('/usr/bin/systemctl'))
      await runToEnd('systemctl', ['disable', '--quiet', unit], APT_ENV).catch(() => '')
    // A machine without systemd today may have it tomorrow.
    else for (const link of globSync(`/etc/systemd/system/*.wants/${unit}.service`)) rmSync(link)
    if (existsSync(`/etc/init.d/${unit}`) && existsSync('/usr/sbin/update-rc.d'))
      await runToEnd('update-rc.d', [unit, 'disable'], APT_ENV).catch(() => '')
  }
}

function apt(...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // Another apt may be at work for a while (unattended upgrades): wait for it.
    const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: APT_ENV,
      // A session of its own: Ctrl-C reaches us, not dpkg in the middle of its work.
      detached: true,
    })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-4000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0) return resolve()
      const errors = output.split('\n').filter((line) => /^(E|Err|dpkg):/.test(line))
      reject(
        new PlainError(
          `apt-get ${args[0]} failed: ${(errors.length ? errors : output.trim().split('\n')).slice(-3).join(' ')}`,
        ),
      )
    })
  })
}
