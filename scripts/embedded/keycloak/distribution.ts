// Keycloak's published distribution with our provider and theme in it, built once and kept in .cache/keycloak/<version>-<hash>
// of the checkout: root's, readable for all, no secret in it. Made beside and renamed: a crash leaves nothing that would be used.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { PlainError } from '../plain-error.ts'
import { findJava } from './java.ts'
import { runTool } from './run-tool.ts'

const VERSION = '26.7.4'
const SHA256 = 'a286e98b4296d4e75ee88d8527c7cd463b307caa022f088c9f22cffccc741fa1'
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`
/** Named with its version: Maven would ask its registry for the newest one at every run. */
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy'
const LEFT_OUT = [
  // Ways to get a token that nobody here uses: what is not there need not be refused.
  'device-flow',
  'ciba',
  'impersonation',
  'token-exchange-standard',
  'jwt-authorization-grant',
  'par',
  'dpop',
  'authorization',
  'admin-fine-grained-authz',
  // Other people's identity providers.
  'kerberos',
  'identity-brokering-api',
  'twitter-broker',
  'instagram-broker',
  'organization',
  // The admin console, which nobody can reach.
  'admin',
  'workflows',
]
const BUILD_OPTIONS = [
  '--db=postgres',
  '--health-enabled=true',
  // Metadata documents as clients; the `resource` of an OAuth request becomes the token's audience.
  '--features=cimd,resource-indicators',
  `--features-disabled=${LEFT_OUT.join(',')}`,
]
/** Counted up when the way of building changes. */
const RECIPE = 1
/** The stack that asked for it may be starting just now; what runs is seen. */
const KEPT_UNUSED_MS = 3_600_000

const cacheOf = (root: string): string => `${root}/.cache/keycloak`
export const distributionFolder = (root: string, name: string): string => `${cacheOf(root)}/${name}`

/** `<version>-<hash of everything that goes into the build>`. */
export function distributionName(root: string): string {
  const hash = createHash('sha256').update(JSON.stringify([RECIPE, SHA256, BUILD_OPTIONS]))
  for (const folder of ['provider/src', 'provider/resources', 'themes'])
    for (const file of filesBelow(`${root}/keycloak/${folder}`))
      hash.update(`\0${folder}/${file}\0`).update(readFileSync(`${root}/keycloak/${folder}/${file}`))
  return `${VERSION}-${hash.digest('hex').slice(0, 12)}`
}

export const isBuilt = (root: string): boolean => existsSync(distributionFolder(root, distributionName(root)))

/** Returns the name of the folder, built now if it was not there. Needs root, and what keycloakNeeds() of packages.ts names. */
export async function ensureDistribution(root: string, say: (line: string) => void): Promise<string> {
  const name = distributionName(root)
  const folder = distributionFolder(root, name)
  if (!existsSync(folder)) {
    const scratch = `${cacheOf(root)}/.building-${process.pid}`
    for (const path of [`${root}/.cache`, cacheOf(root)]) {
      mkdirSync(path, { recursive: true })
      chmodSync(path, 0o755)
    }
    removeUnfinished(root)
    try {
      await build(root, scratch, say)
      // Another `up` of this checkout may have been as quick: its result is the same.
      if (existsSync(folder)) say('another ./bailiwick up has built Keycloak meanwhile')
      else renameSync(`${scratch}/keycloak-${VERSION}`, folder)
    } finally {
      rmSync(scratch, { recursive: true, force: true })
    }
  }
  const now = new Date()
  utimesSync(folder, now, now)
  removeOld(root, name)
  return name
}

async function build(root: string, scratch: string, say: (line: string) => void): Promise<void> {
  mkdirSync(scratch, { mode: 0o700 })
  say(`fetching Keycloak ${VERSION} from Maven's registry (170 MB)`)
  await runTool('mvn', ['-q', '-B', COPY_GOAL, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${scratch}`], {
    cwd: scratch,
    env: process.env,
  })
  const zip = `${scratch}/keycloak-quarkus-dist-${VERSION}.zip`
  const sum = createHash('sha256')
  await pipeline(createReadStream(zip), sum)
  if (sum.digest('hex') !== SHA256)
    throw new PlainError(
      `what Maven's registry gave as Keycloak ${VERSION} is not what was published (its SHA-256 differs): nothing of it was run. Remove ~/.m2/repository/org/keycloak and try again`,
    )

  const jdk = findJava(['java', 'javac', 'jar'])
  if (!jdk) throw new PlainError('building Keycloak needs a Java compiler (>= 17)')
  say('building Keycloak with its sign-in pages (about 30 s, once)')
  await runTool(`${jdk}/bin/jar`, ['xf', zip], { cwd: scratch })
  rmSync(zip)
  const home = `${scratch}/keycloak-${VERSION}`
  await addProvider(root, scratch, home, jdk)
  if (existsSync(`${root}/keycloak/themes`)) cpSync(`${root}/keycloak/themes`, `${home}/themes`, { recursive: true })
  await runTool('sh', [`${home}/bin/kc.sh`, 'build', ...BUILD_OPTIONS], {
    cwd: home,
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', JAVA: `${jdk}/bin/java` },
  })
  // An operator's umask may be 077; the parts are other users.
  await runTool('chmod', ['-R', 'u=rwX,go=rX', home])
  await runTool('chown', ['-R', '0:0', home])
}

async function addProvider(root: string, scratch: string, home: string, jdk: string): Promise<void> {
  const source = `${root}/keycloak/provider`
  const files = filesBelow(`${source}/src`).filter((file) => file.endsWith('.java'))
  if (files.length === 0) return
  const classes = `${scratch}/classes`
  mkdirSync(classes)
  await runTool(`${jdk}/bin/javac`, [
    '-proc:none',
    '-nowarn',
    '--release',
    '17',
    '-encoding',
    'UTF-8',
    '-cp',
    `${home}/lib/lib/main/*`,
    '-d',
    classes,
    ...files.map((file) => `${source}/src/${file}`),
  ])
  if (existsSync(`${source}/resources`)) cpSync(`${source}/resources`, classes, { recursive: true })
  await runTool(`${jdk}/bin/jar`, ['cf', `${home}/providers/bailiwick.jar`, '-C', classes, '.'])
}

/** Of an `up` that was killed. */
function removeUnfinished(root: string): void {
  for (const name of readdirSync(cacheOf(root))) {
    const pid = /^\.building-(\d+)$/.exec(name)?.[1]
    if (pid && !existsSync(`/proc/${pid}`)) rmSync(`${cacheOf(root)}/${name}`, { recursive: true, force: true })
  }
}

/** Builds that nobody runs and that were not asked for lately. */
function removeOld(root: string, current: string): void {
  for (const name of readdirSync(cacheOf(root))) {
    if (name === current || name.startsWith('.')) continue
    const folder = distributionFolder(root, name)
    if (Date.now() - statSync(folder).mtimeMs < KEPT_UNUSED_MS || isRunning(name)) continue
    rmSync(folder, { recursive: true, force: true })
  }
}

function isRunning(name: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`/.cache/keycloak/${name}/`)
    } catch {
      return false
    }
  })
}

const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.parentPath}/${entry.name}`.slice(folder.length + 1))
        .sort()
    : []
