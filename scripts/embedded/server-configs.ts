// Fills the configuration templates of nginx, PowerDNS and Valkey (their folders at the top of the checkout explain them) and
// says how each is run. Written anew at each start, into folders that only root may write.
import { chownSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { asUser } from '@bailiwick/kernel/postgres-cluster'
import { writeWhole, type Owner } from './files.ts'
import { inState, type Layout } from './layout.ts'

/** Of Debian's package: the schema belongs to the backend's version. */
const ZONE_SCHEMA = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'

type Command = () => readonly [string, readonly string[]]

/** Fills in every `@NAME@` outside comments. A name without a value, or a value that could end its line, is a bug here: thrown. */
export function fillTemplate(template: string, values: Readonly<Record<string, string | number>>): string {
  const fill = (line: string): string =>
    line.replaceAll(/@([A-Z][A-Z_]*)@/g, (_, name: string) => {
      const value = values[name]
      if (value === undefined || /[\n\r]/.test(String(value))) throw new Error(`no value for @${name}@`)
      return String(value)
    })
  return template
    .split('\n')
    .map((line) => (line.trimStart().startsWith('#') ? line : fill(line)))
    .join('\n')
}

export function nginxConfig(layout: Layout, owner: Owner): Command {
  const { root, state, ports } = layout
  const file = `${state}/edge/nginx.conf`
  return () => {
    const text = fillTemplate(readFileSync(`${root}/nginx/nginx.conf.template`, 'utf8'), {
      STATE: `${state}/edge/data`,
      TLS: inState.tls(state),
      ADDRESS: '127.0.0.1',
      HTTPS_PORT: ports.https,
      HTTP_PORT: ports.http,
      GATEWAY: `127.0.0.1:${ports.gateway}`,
      KEYCLOAK: `127.0.0.1:${ports.keycloak}`,
      PUBLIC_URL: layout.publicUrl,
    })
    writeWhole(file, text, 0o440, { uid: 0, gid: owner.gid })
    // -e: before it has read its configuration nginx would complain into a system folder.
    return asUser(owner, '/usr/sbin/nginx', [
      '-p',
      `${state}/edge/data`,
      '-c',
      file,
      '-e',
      'stderr',
      '-g',
      'daemon off;',
    ])
  }
}

export function valkeyConfig(layout: Layout, owner: Owner, password: string): Command {
  const file = `${layout.state}/valkey/valkey.conf`
  return () => {
    const text = fillTemplate(readFileSync(`${layout.root}/valkey/valkey.conf.template`, 'utf8'), {
      PORT: layout.ports.valkey,
      FOLDER: `${layout.state}/valkey/data`,
      PASSWORD: password,
    })
    writeWhole(file, text, 0o440, { uid: 0, gid: owner.gid })
    const server = ['/usr/bin/valkey-server', '/usr/bin/redis-server'].find((path) => existsSync(path))
    if (!server) throw new Error('neither valkey-server nor redis-server is installed')
    return asUser(owner, server, [file])
  }
}

export function powerdnsConfig(layout: Layout, owner: Owner, apiKey: string): Command {
  const { root, state, ports } = layout
  const folder = `${state}/powerdns`
  const database = `${inState.powerdnsFolder(state)}/zones.sqlite3`
  return () => {
    if (!existsSync(database)) makeZoneDatabase(folder, database, owner)
    const text = fillTemplate(readFileSync(`${root}/powerdns/pdns.conf.template`, 'utf8'), {
      DNS_ADDRESS: '127.0.0.1',
      DNS_PORT: ports.dns,
      API_PORT: ports.powerdns,
      API_KEY: apiKey,
      DATABASE: database,
      SOCKET_DIR: inState.powerdnsFolder(state),
    })
    writeWhole(`${folder}/pdns.conf`, text, 0o440, { uid: 0, gid: owner.gid })
    return asUser(owner, '/usr/sbin/pdns_server', [`--config-dir=${folder}`])
  }
}

/** Made beside and moved in: a crash in between leaves no half schema under the real name. */
function makeZoneDatabase(folder: string, database: string, owner: Owner): void {
  const scratch = `${folder}/zones.new`
  rmSync(scratch, { force: true })
  const fresh = new DatabaseSync(scratch)
  fresh.exec(readFileSync(ZONE_SCHEMA, 'utf8'))
  fresh.close()
  chownSync(scratch, owner.uid, owner.gid)
  renameSync(scratch, database)
}
