// Fills the configuration templates of nginx, PowerDNS and Valkey (their folders at the top of the checkout explain them) and
// says how each is run. Written anew at each start, into folders that only root may write.
import { chownSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { asUser } from '@bailiwick/kernel/postgres-cluster'
import { writeWhole, type Owner } from './files.ts'
import { inState, type Layout } from './layout.ts'

type Command = () => readonly [string, readonly string[]]

/** Replaces every `{{name}}`. A name without a value, or a value that could end its line, is a bug here: thrown. */
export function fillTemplate(template: string, values: Readonly<Record<string, string | number>>): string {
  return template.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined || /[\n\r]/.test(String(value))) throw new Error(`no value for {{${name}}}`)
    return String(value)
  })
}

export function nginxConfig(layout: Layout, owner: Owner): Command {
  const { root, state, ports } = layout
  const file = `${state}/edge/nginx.conf`
  return () => {
    const text = fillTemplate(readFileSync(`${root}/nginx/nginx.conf.template`, 'utf8'), {
      root,
      state: `${state}/edge/data`,
      tls: inState.tls(state),
      https_port: ports.https,
      http_port: ports.http,
      gateway_port: ports.gateway,
      public_url: layout.publicUrl,
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
      port: layout.ports.valkey,
      folder: `${layout.state}/valkey/data`,
      password,
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
  const database = `${folder}/data/zones.sqlite3`
  return () => {
    if (!existsSync(database)) makeZoneDatabase(`${root}/powerdns/schema.sqlite3.sql`, folder, database, owner)
    const text = fillTemplate(readFileSync(`${root}/powerdns/pdns.conf.template`, 'utf8'), {
      dns_port: ports.dns,
      api_port: ports.powerdns,
      api_key: apiKey,
      database,
      folder: `${folder}/data`,
    })
    writeWhole(`${folder}/pdns.conf`, text, 0o440, { uid: 0, gid: owner.gid })
    return asUser(owner, '/usr/sbin/pdns_server', [`--config-dir=${folder}`, '--daemon=no', '--guardian=no'])
  }
}

/** Made beside and moved in: a crash in between leaves no half schema under the real name. */
function makeZoneDatabase(schema: string, folder: string, database: string, owner: Owner): void {
  const scratch = `${folder}/zones.new`
  rmSync(scratch, { force: true })
  const fresh = new DatabaseSync(scratch)
  fresh.exec(readFileSync(schema, 'utf8'))
  fresh.close()
  chownSync(scratch, owner.uid, owner.gid)
  renameSync(scratch, database)
}
