// How Keycloak is run: java itself, not kc.sh, which would stay between us and it. Its home is a folder of the state where root
// owns everything but the folder for temporary files; the distribution is linked into it.
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { asUser } from '@bailiwick/kernel/postgres-cluster'
import { writeWhole, type Owner } from '../files.ts'
import type { Layout } from '../layout.ts'
import { PlainError } from '../plain-error.ts'
import { fillTemplate } from '../server-configs.ts'
import { distributionFolder } from './distribution.ts'
import { findJava } from './java.ts'
import { importFolder } from './realms.ts'

const OPENED = [
  'java.base/java.util',
  'java.base/java.util.concurrent',
  'java.base/java.security',
  'java.base/java.lang',
].map((name) => `--add-opens=${name}=ALL-UNNAMED`)

/** What bin/kc.sh of this version ends up running; smaller where it costs nothing. */
const javaOptions = (home: string): string[] => [
  '-Xms64m',
  '-Xmx512m',
  '-XX:MetaspaceSize=96M',
  '-XX:MaxMetaspaceSize=256m',
  '-XX:+UseSerialGC',
  // Measured: up with half the processor time (9 s instead of 19 s), 60 MB less; a password or a token costs the same.
  '-XX:TieredStopAtLevel=1',
  '-XX:+ExitOnOutOfMemoryError',
  // No file about itself in /tmp, nobody attaches to it, and what it puts down temporarily lies in its own folder.
  '-XX:-UsePerfData',
  '-XX:+DisableAttachMechanism',
  `-Djava.io.tmpdir=${home}/data/tmp`,
  `-Duser.home=${home}/data/tmp`,
  ...['file.encoding', 'sun.stdout.encoding', 'sun.err.encoding', 'stdout.encoding', 'stderr.encoding'].map(
    (name) => `-D${name}=UTF-8`,
  ),
  '-Duser.language=en',
  '-Duser.country=US',
  '-Djava.security.egd=file:/dev/urandom',
  '-Djdk.tls.rejectClientInitiatedRenegotiation=true',
  ...OPENED,
  '--enable-native-access=ALL-UNNAMED',
  `-Dkc.home.dir=${home}`,
  `-Djboss.server.config.dir=${home}/conf`,
  '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
  '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory',
  '-Dpicocli.disable.closures=true',
  '-Dquarkus-log-max-startup-records=10000',
]

/** `distribution` is the name that ensureDistribution gave. */
export function keycloakCommand(
  layout: Layout,
  owner: Owner,
  distribution: string,
  databasePassword: string,
): () => readonly [string, readonly string[]] {
  const { root, state, ports } = layout
  const home = `${state}/keycloak`
  const built = distributionFolder(root, distribution)
  return () => {
    const java = findJava(['java'])
    if (!java) throw new PlainError('no Java >= 17 is installed')
    const text = fillTemplate(readFileSync(`${root}/keycloak/keycloak.conf.template`, 'utf8'), {
      DATABASE_PORT: ports.postgres,
      DATABASE_PASSWORD: databasePassword,
      PORT: ports.keycloak,
      MANAGEMENT_PORT: ports.keycloakManagement,
      PUBLIC_URL: layout.publicUrl,
      EGRESS: `127.0.0.1:${ports.egress}`,
    })
    writeWhole(`${home}/conf/keycloak.conf`, text, 0o440, { uid: 0, gid: owner.gid })
    for (const name of ['lib', 'providers', 'themes']) {
      rmSync(`${home}/${name}`, { force: true })
      symlinkSync(`${built}/${name}`, `${home}/${name}`)
    }
    const isFirst = existsSync(`${importFolder(state)}/bailiwick-realm.json`)
    return asUser(owner, `${java}/bin/java`, [
      ...javaOptions(home),
      '-cp',
      `${built}/lib/quarkus-run.jar`,
      'io.quarkus.bootstrap.runner.QuarkusEntryPoint',
      'start',
      '--optimized',
      ...(isFirst ? ['--import-realm'] : []),
    ])
  }
}
