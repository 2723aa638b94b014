// The two realms of a first start. They come in by Keycloak's own import, each in one transaction; the files hold secrets, lie
// where only root and Keycloak can read, and are gone once it runs. An existing realm is never imported again: see migrate.ts.
import { readFileSync, rmSync } from 'node:fs'
import { makeFolder, writeWhole } from '../files.ts'
import { USERS, type Layout } from '../layout.ts'
import { fillTemplate } from '../server-configs.ts'
import type { State } from '../state.ts'
import { readRealms } from './database.ts'
import { migrateRealm } from './migrate.ts'

const OWNER = { uid: 0, gid: USERS.keycloak }

/**
 * Who administrates the realm `master` administrates Keycloak. Nobody does: it comes in switched off, so no token is issued
 * there. Its one user has no credential and is switched off too; it is there because as long as master has no user at all,
 * Keycloak's welcome page makes one for whoever asks from this machine.
 */
const MASTER = { realm: 'master', enabled: false, users: [{ username: 'nobody', enabled: false }] }

export const importFolder = (state: string): string => `${state}/keycloak/data/import`

/** Before Keycloak starts, its database there. Says whether this start imports. Also ends an attempt that was cut off. */
export async function prepareRealms(layout: Layout, state: State, server: string): Promise<boolean> {
  const folder = importFolder(layout.state)
  makeFolder(folder, 0o750, OWNER)
  forgetRealmFiles(layout.state)
  if ((await readRealms(server)).includes('bailiwick')) return false
  const template = readFileSync(`${layout.root}/keycloak/realm.json`, 'utf8')
  const realm = fillTemplate(template, await realmValues(layout, state))
  // Without master's file Keycloak would make that realm itself, open. It is imported first whatever the order of writing.
  writeWhole(`${folder}/master-realm.json`, JSON.stringify(MASTER), 0o440, OWNER)
  writeWhole(`${folder}/bailiwick-realm.json`, realm, 0o440, OWNER)
  return true
}

export function forgetRealmFiles(state: string): void {
  for (const name of ['bailiwick-realm.json', 'master-realm.json'])
    for (const file of [name, `${name}.new`]) rmSync(`${importFolder(state)}/${file}`, { force: true })
}

/** Keycloak runs: its realms are in its database. What later versions changed in the realm is brought to it. */
export async function settleRealm(layout: Layout, state: State, say: (line: string) => void): Promise<void> {
  forgetRealmFiles(layout.state)
  await migrateRealm({
    url: `http://127.0.0.1:${layout.ports.keycloak}`,
    operatorSecret: await state.secretsOf('supervisor').get('keycloak_operator_secret'),
    folder: `${layout.root}/keycloak/migrations`,
    values: await realmValues(layout, state),
    say,
  })
}

/** What stands in the realm file as @NAME@. */
export async function realmValues(layout: Layout, state: State): Promise<Record<string, string>> {
  const own = state.secretsOf('supervisor')
  return {
    PUBLIC_URL: layout.publicUrl,
    MCP_URL: `${layout.publicUrl}/mcp`,
    OPERATOR_SECRET: await own.get('keycloak_operator_secret'),
    CONSOLE_SECRET: await own.get('keycloak_console_secret'),
    POLICY_SECRET: await state.secretsOf('policy').get('keycloak_client_secret'),
  }
}
